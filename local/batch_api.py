"""A service's API as what reads the pictures of a batch."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Iterator
from functools import partial

import httpx

from digits.errors import InputError
from functions.batch.answering import (
    MOST_AT_ONCE,
    NUMBERS,
    NUMBERS_AT_ONCE,
    Answer,
    Answering,
    Reading,
    answer_of,
    problem_of,
    refuse_form,
)
from functions.batch.contents import Item
from functions.batch.results import Document
from functions.predict_api.fields import FIELDS
from local.api_client import PREDICT, READ, ApiTestError

TIMEOUT_SECONDS = 35.0
MOST_REQUEST_BYTES = 3_000_000

type Waiting = tuple[Item, Document | InputError]


class ApiAnswering:
    """A service's API."""

    def __init__(self, url: str, token: str, reading: Reading, version: str, verify: ssl.SSLContext | bool) -> None:
        """Bind a service, and the version of its model that has to answer.

        Raises:
            InputError: the numbers cannot have such a length.
        """
        reading.hints()
        self._version = version
        self._is_number = reading.kind == NUMBERS
        self._list = "readings" if self._is_number else "predictions"
        self._url = f"{url.rstrip('/')}{READ if self._is_number else PREDICT}"
        self._parameters = {"length": reading.length} if reading.length else {}
        self._connect = partial(httpx.Client, timeout=TIMEOUT_SECONDS, verify=verify, headers={"x-api-key": token})

    def answers(self, items: Iterable[Item]) -> Iterator[tuple[Item, Answer]]:
        """See `Answering`; raises ApiTestError where the service does not answer."""
        with self._connect() as client:
            for waiting in _requests(items, self._is_number):
                yield from self._answered(waiting, client)

    def _answered(self, waiting: list[Waiting], client: httpx.Client) -> Iterator[tuple[Item, Answer]]:
        sent = [request for _, request in waiting if not isinstance(request, InputError)]
        answers = iter(self._asked(sent, client))
        for item, request in waiting:
            if isinstance(request, InputError):
                yield item, problem_of(request)
                continue
            told = next(answers)
            self._check(told)
            yield item, answer_of(told)

    def _asked(self, sent: list[Document], client: httpx.Client) -> list[Document]:
        """Return the answers to pictures, or to one form; what is too large at once is sent in halves."""
        if not sent:
            return []
        is_form = FIELDS in sent[0]
        status, document = self._post(sent[0] if is_form else {"instances": sent}, client)
        if status == httpx.codes.OK:
            answers: list[Document] = [document] if is_form else document[self._list]
            return answers
        too_large = status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
        if len(sent) == 1 and (too_large or (is_form and status == httpx.codes.UNPROCESSABLE_ENTITY)):
            return [document]  # what is wrong with it is a line
        if too_large:
            middle = len(sent) // 2
            return self._asked(sent[:middle], client) + self._asked(sent[middle:], client)
        raise ApiTestError(f"{self._url} answered {status}: {document.get('detail', document)}")

    def _check(self, told: Document) -> None:
        answered = told.get("model", {}).get("version", self._version)
        if answered != self._version:
            raise ApiTestError(f"{answered} answers now, and this run began with {self._version}: begin again")

    def _post(self, body: Document, client: httpx.Client) -> tuple[int, Document]:
        parameters = {} if FIELDS in body else self._parameters
        try:
            response = client.post(self._url, json=body, params=parameters)
            document: Document = response.json()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ApiTestError(f"no answer from {self._url}: {error}") from error
        except ValueError as error:
            raise ApiTestError(f"{self._url} answered without a JSON document") from error
        return response.status_code, document


def _requests(items: Iterable[Item], is_number: bool) -> Iterator[list[Waiting]]:
    """Return pictures as requests, as many at a time as a request may have; a form is one by itself."""
    waiting: list[Waiting] = []
    size, most = 0, NUMBERS_AT_ONCE if is_number else MOST_AT_ONCE
    for item in items:
        request = _requested(item, is_number)
        is_form = not isinstance(request, InputError) and FIELDS in request
        more = 0 if isinstance(request, InputError) else len(json.dumps(request))
        if waiting and (is_form or size + more > MOST_REQUEST_BYTES or len(waiting) >= most):
            yield waiting
            waiting, size = [], 0
        waiting.append((item.let_go(), request))
        size += more
        if is_form:
            yield waiting
            waiting, size = [], 0
    if waiting:
        yield waiting


def _requested(item: Item, is_number: bool) -> Document | InputError:
    try:
        if not is_number:
            refuse_form(item.content)
        return item.content.request()
    except InputError as error:
        return error


def api_answering(
    url: str, token: str, verify: ssl.SSLContext | bool, version: str | None, reading: Reading
) -> tuple[Answering, str, float]:
    """Return what reads, as `Job` wants it.

    Raises:
        ApiTestError: the service does not answer, or another model answers than the one that is asked for.
    """
    try:
        document = httpx.get(f"{url.rstrip('/')}/v1/model", timeout=TIMEOUT_SECONDS, verify=verify).json()
        live, accuracy = str(document["version"]), float(document["accuracy"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError) as error:
        raise ApiTestError(f"{url} does not tell which model answers: {error}") from error
    if version not in (None, live):
        raise ApiTestError(f"{live} answers now, and this run began with {version}: begin again in another folder")
    return ApiAnswering(url, token, reading, live, verify), live, accuracy
