from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sse_app.log.cursor import Cursor, fingerprint


@given(st.integers(0, 2**63 - 1), st.binary())
def test_an_id_is_read_back_as_it_was_made(offset: int, key: bytes) -> None:
    cursor = Cursor(offset, fingerprint(key))
    assert Cursor.parse(str(cursor)) == cursor


def test_what_follows_a_tilde_is_ignored() -> None:
    assert Cursor.parse("7-0123abcd~1-2,3") == Cursor(7, "0123abcd")


@pytest.mark.parametrize(
    "text",
    [
        "", "7", "-7-0123abcd", "+7-0123abcd", " 7-0123abcd", "07-0123abcd", "7-0123ABCD", "7-0123abc", "7-0123abcde",
        "7-0123abcd\0", "7-0123abcd\n", "\u0667-0123abcd", f"{2**63}-0123abcd", f"{2**64}-0123abcd",
        "9" * 8000, "7-0123abcd~" + "1" * 300,
    ],
)  # fmt: skip
def test_nonsense_is_none_of_ours(text: str) -> None:
    assert Cursor.parse(text) is None


@given(st.text())
def test_any_text_is_parsed_without_an_error(text: str) -> None:
    cursor = Cursor.parse(text)
    assert cursor is None or text.startswith(str(cursor))
