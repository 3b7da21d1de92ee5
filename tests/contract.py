"""The contract: requests of every kind, and the status that each is answered with, whatever they go through."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np

from digits.pictures.images import decode
from local.lambda_invoke import EVENT_TOKEN
from tests import events
from tests.doors import Request

TOKEN = {"authorization": f"Bearer {EVENT_TOKEN}"}
JSON = {"content-type": "application/json"}
PREDICT, READ, INFER = "/v1/predict", "/v1/read", "/v2/models/digits/infer"
IMAGE = {"image": base64.b64encode(events.digit_file(7)).decode()}
FORM, FORM_TYPE = events.multipart(events.digit_file(7), b"no image", events.digit_file(1))
TENSOR_HEADER = json.dumps(
    {
        "inputs": [
            {"name": "pixels", "shape": [1, 28, 28], "datatype": "UINT8", "parameters": {"binary_data_size": 784}}
        ],
        "parameters": {"binary_data_output": True},
    }
).encode()
PIXELS = np.ascontiguousarray(decode(events.digit_file(7)).pixels)
ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": EVENT_TOKEN, "params": IMAGE}).encode())
BAD_ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": EVENT_TOKEN, "params": {"image": 7}}).encode())
WRONG_ENVELOPE = Request("POST", PREDICT, JSON, json.dumps({"token": "wrong", "params": IMAGE}).encode())
SEVERAL = {"token": EVENT_TOKEN, "params": {"instances": [IMAGE, {"image": "*"}, {"pixels": PIXELS.tolist()}]}}
PNG = {"content-type": "image/png"}
NUMBER = events.number_file()
NUMBER_JSON = {"image": base64.b64encode(NUMBER).decode()}
NUMBER_FORM, NUMBER_FORM_TYPE = events.multipart(NUMBER, b"no image", events.digit_file(1))
SEVERAL_NUMBERS = {"token": EVENT_TOKEN, "params": {"instances": [NUMBER_JSON, {"image": "*"}, IMAGE]}}
PAGE = json.loads(events.load("http_v2_read_form")["body"])
TWICE = PAGE | {"fields": [PAGE["fields"][0], PAGE["fields"][0]]}
LINES = np.zeros((2, 32, 64), np.uint8)
LINES_HEADER = json.dumps(
    {
        "inputs": [
            {"name": "lines", "shape": [2, 32, 64], "datatype": "UINT8", "parameters": {"binary_data_size": LINES.size}}
        ],
        "parameters": {"binary_data_output": True},
    }
).encode()


def posted(path: str, document: dict[str, Any], query: str = "", headers: dict[str, str] = TOKEN) -> Request:
    return Request("POST", path, JSON | headers, json.dumps(document).encode(), query)


# name: (request, status)
CONTRACT: dict[str, tuple[Request, int]] = {
    "health": (Request("GET", "/health"), 200),
    "model": (Request("GET", "/v1/model"), 200),
    "openapi": (Request("GET", "/openapi.json"), 200),
    "json": (Request("POST", PREDICT, JSON | TOKEN, json.dumps(IMAGE).encode()), 200),
    "envelope": (ENVELOPE, 200),
    "instances": (Request("POST", PREDICT, JSON, json.dumps(SEVERAL).encode()), 200),
    "png": (Request("POST", PREDICT, PNG | TOKEN, events.digit_file(4)), 200),
    "form": (Request("POST", PREDICT, {"content-type": FORM_TYPE} | TOKEN, FORM), 200),
    "infer": (
        Request(
            "POST",
            INFER,
            {"inference-header-content-length": str(len(TENSOR_HEADER))} | TOKEN,
            TENSOR_HEADER + PIXELS.tobytes(),
        ),
        200,
    ),
    "preflight": (
        Request("OPTIONS", PREDICT, {"origin": "https://a.example", "access-control-request-method": "POST"}),
        204,
    ),
    "refused preflight": (
        Request("OPTIONS", PREDICT, {"origin": "https://a.example", "access-control-request-method": "PUT"}),
        400,
    ),
    "malformed": (Request("POST", PREDICT, JSON | TOKEN, b"{"), 400),
    "no token": (Request("POST", PREDICT, JSON, json.dumps(IMAGE).encode()), 401),
    "wrong token": (WRONG_ENVELOPE, 401),
    "unknown path": (Request("GET", "/nowhere"), 404),
    "wrong method": (Request("DELETE", PREDICT), 405),
    "large body": (Request("POST", PREDICT, PNG | TOKEN, bytes(4_500_001)), 413),
    "media type": (Request("POST", PREDICT, {"content-type": "text/plain"} | TOKEN, b"7"), 415),
    "field": (BAD_ENVELOPE, 422),
    "number, png": (Request("POST", READ, PNG | TOKEN, NUMBER), 200),
    "number, json": (posted(READ, NUMBER_JSON), 200),
    "number, envelope": (posted(READ, {"token": EVENT_TOKEN, "params": NUMBER_JSON}, headers={}), 200),
    "number, instances": (posted(READ, SEVERAL_NUMBERS, headers={}), 200),
    "number, form with files": (Request("POST", READ, {"content-type": NUMBER_FORM_TYPE} | TOKEN, NUMBER_FORM), 200),
    "number, length": (Request("POST", READ, PNG | TOKEN, NUMBER, "length=4-6"), 200),
    "number, rows": (Request("POST", READ, PNG | TOKEN, NUMBER, "length=3&rows=2"), 200),
    "fields": (posted(READ, PAGE), 200),
    "fields, envelope": (posted(READ, {"token": EVENT_TOKEN, "params": PAGE}, headers={}), 200),
    "lines": (
        Request(
            "POST",
            "/v2/models/numbers/infer",
            {"inference-header-content-length": str(len(LINES_HEADER))} | TOKEN,
            LINES_HEADER + LINES.tobytes(),
        ),
        200,
    ),
    "number, no token": (Request("POST", READ, PNG, NUMBER), 401),
    "number, wrong method": (Request("GET", READ), 405),
    "number, no image": (Request("POST", READ, PNG | TOKEN, b"no image"), 422),
    "number, impossible length": (Request("POST", READ, PNG | TOKEN, NUMBER, "length=5-4"), 422),
    "number, impossible rows": (Request("POST", READ, PNG | TOKEN, NUMBER, "rows=two"), 422),
    "number, blank": (posted(READ, {"pixels": [0] * 784}), 422),
    "field twice": (posted(READ, {"token": EVENT_TOKEN, "params": TWICE}, headers={}), 422),
    "fields with a hint": (posted(READ, PAGE, "length=4"), 422),
    "blank": (Request("POST", PREDICT, JSON | TOKEN, json.dumps({"pixels": [0] * 784}).encode()), 422),
}
