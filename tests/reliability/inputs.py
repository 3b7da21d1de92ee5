"""Inputs of all kinds, good ones and what chance makes of them."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from hypothesis import strategies as st
from PIL import Image

from digits.model.contract import INPUT
from digits.pictures.images import FORMATS
from tests import batches, events

_WORDS = (b"\0", b"\xff" * 4, b"\x7f\xff\xff\xff", b"%s", b"\r\n", b"{", b"[" * 50, b"0" * 50, b"1e999", b"NaN", b"-1")
_MOST_BYTES = 200_000


def mutated(data: bytes, chance: random.Random, others: tuple[bytes, ...] = ()) -> bytes:
    """Return bytes with a few changes: of bits and bytes, cuts, repeats, words that parsers stumble over, splices."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        place = chance.choice((chance.randrange(len(changed) + 1), chance.randrange(min(64, len(changed)) + 1)))
        size = chance.choice((1, 2, 4, 16, 256))
        match chance.randrange(8):
            case 0 if place < len(changed):
                changed[place] ^= 1 << chance.randrange(8)
            case 1 if place < len(changed):
                changed[place] = chance.randrange(256)
            case 2:
                del changed[place : place + size]
            case 3:
                changed[place:place] = chance.randbytes(size)
            case 4:
                changed[place : place + size] = chance.choice(_WORDS)
            case 5:
                changed[place:place] = changed[place : place + size] * chance.choice((1, 2, 20))
            case 6 if others:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                changed[place:] = other[start:]
            case 7:
                del changed[place:]
    return bytes(changed[:_MOST_BYTES])


@cache
def images() -> tuple[bytes, ...]:
    """Return small files of every format and of many modes."""
    with Image.open(BytesIO(events.digit_file(7))) as image:
        grey = image.convert("L").resize((40, 40))
    found = []
    for each in FORMATS:
        for mode in ("L", "RGB", "P", "1", "RGBA"):
            file = BytesIO()
            try:
                grey.convert(mode).save(file, each.plugin.format)
            except (OSError, ValueError):
                continue
            found.append(file.getvalue())
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        file = BytesIO()
        grey.save(file, "TIFF", compression=compression)
        found.append(file.getvalue())
    return tuple(found)


@cache
def archives() -> tuple[tuple[str, bytes], ...]:
    """Return an input of a batch of each kind, and its name."""
    return tuple(batches.every_kind())


@cache
def forms() -> tuple[tuple[bytes, str], ...]:
    """Return forms with files, and their content types."""
    return (events.multipart(events.digit_file(7)), events.multipart(*map(events.digit_file, range(4))))


@cache
def tensors() -> tuple[tuple[bytes, str | None], ...]:
    """Return messages of the Open Inference Protocol, and what their header says of the length of the JSON in them."""
    pixels = batches.digit_pixels(1, 7)
    shape = list(pixels.shape)
    tensor = {"name": INPUT.name, "datatype": "UINT8", "shape": shape}
    as_json = json.dumps({"inputs": [{**tensor, "data": pixels.tolist()}]}).encode()
    size = {"parameters": {"binary_data_size": pixels.size}}
    head = json.dumps({"inputs": [{**tensor, **size}]}).encode()
    return (as_json, None), (head + pixels.tobytes(), str(len(head))), (pixels.tobytes(), "0")


def mutated_json(value: Any, chance: random.Random) -> Any:
    """Return a document in which something is missing, doubled, or of another type."""
    changed = copy.deepcopy(value)
    for _ in range(chance.choice((1, 1, 2, 4))):
        places = list(_places(changed))
        if not places:
            return odd_value(chance)
        holder, key = chance.choice(places)
        match chance.randrange(4):
            case 0:
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[chance.choice(("", "token", "image", "\ud800", "a" * 1000, str(key).upper()))] = holder[key]
            case _:
                holder[key] = odd_value(chance)
    return changed


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(min(len(value), 30)):
            yield value, key
            yield from _places(value[key])


def odd_value(chance: random.Random) -> Any:
    """Return a value of JSON that nobody expects."""
    deep: Any = 0
    for _ in range(chance.choice((1, 5, 200))):
        deep = [deep] if chance.random() < 0.5 else {"a": deep}
    odd: tuple[Any, ...] = (
        *(None, True, False, 0, -1, 2**63, 10**400, 1e308, float("nan"), "", "a", "\0", "\ud800", "é" * 500, "%00"),
        *([], {}, [[]], {"": None}, "data:image/png;base64,", "http://127.0.0.1/", "../../etc/passwd", deep),
    )
    return chance.choice(odd)


def documents() -> st.SearchStrategy[Any]:
    """Return request documents, near to what the schema says and far from it."""
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=10,
    )
    image = st.sampled_from([events.image_json(digit)["image"] for digit in range(3)])
    row = st.lists(st.integers(-1, 256) | st.floats(0, 1), min_size=27, max_size=29)
    pixels = st.sampled_from([np.zeros((28, 28)).tolist(), [1] * 784]) | st.lists(row, min_size=27, max_size=28)
    picture = st.fixed_dictionaries({}, optional={"image": image | anything, "pixels": pixels | anything})
    box = st.lists(st.integers(-5, 50) | st.floats(), max_size=5)
    field = st.fixed_dictionaries({}, optional={"name": st.text() | anything, "box": box, "length": anything})
    optional = {
        "instances": st.lists(picture | anything, max_size=4),
        "fields": st.lists(field | anything, max_size=3),
        "token": anything,
        "image": image | anything,
        "pixels": pixels,
    }
    plain = st.fixed_dictionaries({}, optional=optional)
    return (
        plain | picture | st.fixed_dictionaries({"params": plain | anything}, optional={"token": anything}) | anything
    )
