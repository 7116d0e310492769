"""JSON as types, what the JSON of strangers must not have, and how this service writes it."""

import importlib
import json
from typing import Any, TypeAlias

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
JsonObject: TypeAlias = "dict[str, Json]"


def no_duplicates(pairs: list[tuple[str, Json]]) -> JsonObject:
    """An object for json.loads; ValueError where a name occurs twice, because readers disagree about which counts."""
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a name occurs twice in an object")
    return document


def compact(value: Any) -> str:
    """The shortest JSON (RFC 8259) of a value; ValueError for NaN and infinities, RecursionError where it is too deep.

    It is json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")) in half the time, because that
    makes an encoder for each call.
    """
    return "".join(_encode(value, 0)) if _encode else _ENCODER.encode(value)


_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_c: Any = importlib.import_module("json.encoder")  # what is in C there has no types, and other Pythons lack it
_encode: Any = (
    _c.c_make_encoder(None, _ENCODER.default, _c.encode_basestring, None, ":", ",", False, False, False)
    if _c.c_make_encoder
    else None
)
