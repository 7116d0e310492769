"""The terminal of the tests shows what a person would see."""

from __future__ import annotations

import pytest
from terminal import Screen


def test_what_is_drawn_below_the_cursor_goes_when_the_rest_is_cleared() -> None:
    screen = Screen(20, 10)
    screen.feed("one\r\n\x1b[J\r\n\rrow\r\n\rother\r\x1b[2A")
    assert screen.rows == ["one", "", "row", "other"]
    screen.feed("\x1b[Jtwo\r\n")
    assert screen.rows == ["one", "two", ""]


def test_a_long_line_goes_on_in_the_next_one_and_a_colour_is_noticed() -> None:
    screen = Screen(3, 10)
    screen.feed("abcd\x1b[0;31m")
    assert (screen.rows, screen.coloured) == (["abc", "d"], True)
    screen.feed("\x1b[0m")
    assert not screen.coloured


def test_what_it_does_not_know_is_an_error() -> None:
    with pytest.raises(AssertionError, match="2K"):
        Screen(3, 10).feed("\x1b[2K")
