from __future__ import annotations

import json
from typing import Any

import pytest

from sse_app.base.json_value import compact

VALUES = [
    *(
        None,
        True,
        0,
        -1,
        2**80,
        1.0,
        1e16,
        1e-7,
        5e-324,
        0.1,
        "",
        "a",
        'q"\\/\b\f\n\r\t\0\x1f\x7f',
        "é\u2028\U0001f600",
    ),
    *([], {}, [[]], {"": {}}, [1, [2, {"a": None}]], {"é": "\ud800", "b": [True, False]}),
]


@pytest.mark.parametrize("value", VALUES, ids=range(len(VALUES)))
def test_compact_writes_the_same_text_as_the_standard_library(value: Any) -> None:
    """An idempotency key stays valid over an upgrade only while the same data becomes the same bytes."""
    assert compact(value) == json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [-float("inf")], {"a": float("nan")}])
def test_compact_refuses_what_is_no_json(value: Any) -> None:
    with pytest.raises(ValueError, match="Out of range float values"):
        compact(value)


def test_compact_refuses_what_is_nested_too_deeply() -> None:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        compact(value)
