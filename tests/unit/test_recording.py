"""The picture of a terminal is what the terminal showed, as text, and tells a run from another one."""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
import recording
from recording import Recording


def taken(*parts: tuple[float, str]) -> Recording:
    return Recording("./sse up", list(parts), 0)


def test_a_program_in_a_terminal_is_recorded_with_its_size_its_colours_and_its_end() -> None:
    code = (
        "import os, sys; print(sys.stdout.isatty(), os.get_terminal_size().columns);"
        "print('\\x1b[32mgr\\u00fcn\\x1b[0m'); sys.exit(2)"
    )
    found = recording.record("a", [sys.executable, "-c", code], Path("/"), {**os.environ, "NO_COLOR": "1"})
    assert found.code == 2
    assert recording.lines(found)[:2] == [f"True {recording.COLUMNS}", "grün"]
    [green] = [one for shown in recording.rows(found) for one in shown.spans if one.text == "grün"]
    assert green.colour == "green"


@pytest.mark.parametrize("theme", recording.THEMES)
def test_the_picture_is_well_formed_and_its_end_is_the_last_screen(theme: str) -> None:
    drawn = recording.svg(taken((0.1, "a <b> & c\r\n"), (0.5, "kafka starting\r"), (9.0, "kafka healthy \r\n")), theme)
    ET.fromstring(drawn)
    assert recording.last_screen(drawn) == ["a <b> & c", "kafka healthy"]
    assert "starting" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_a_row_that_changes_is_shown_until_it_changes() -> None:
    shown = recording.rows(taken((0.0, "one\r"), (0.5, "two\r"), (1.0, "three\r\n")))
    assert [(one.spans[0].text, one.begin, one.end) for one in shown] == [
        ("one", 0.0, 0.5),
        ("two", 0.5, 1.0),
        ("three", 1.0, None),
    ]


def test_the_picture_follows_an_output_that_is_longer_than_it() -> None:
    lines = [(second / 2, f"line {second}\r\n") for second in range(recording.SEEN + 2)]
    assert [above for __, above in recording.scrolled(recording.rows(taken(*lines)))] == [1, 2]
    assert recording.last_screen(recording.svg(taken(*lines), "dark"))[-1] == f"line {recording.SEEN + 1}"


def test_a_long_run_is_played_in_a_short_time_and_a_long_pause_is_cut() -> None:
    assert [at for at, __ in recording.played(taken((0.0, "a"), (60.0, "b")))] == [0.0, recording.LONGEST_PAUSE]
    long = recording.played(taken(*((float(second) / 2, "x") for second in range(200))))
    assert long[-1][0] == pytest.approx(recording.PLAYED)


def test_names_of_a_stack_of_the_tests_become_the_usual_ones() -> None:
    found = recording.exchanged(taken((0.0, "docs-kafka 127.0.0.1:4701")), {r"\bdocs-": "sse-", ":4701": ":3001"})
    assert found.output == "sse-kafka 127.0.0.1:3001"


@pytest.mark.parametrize(
    ("product", "same"),
    [
        (["✔ kafka healthy 7.9 s", "release 12 applied in 61 s"], True),
        (["✔ kafka is well", "release 12 applied in 61 s"], False),
        (["release 12 applied in 61 s"], False),
    ],
)
def test_figures_may_differ_and_words_may_not(product: list[str], same: bool) -> None:
    picture = ["✔ kafka healthy 6.1 s", "release 1 applied in 41 s"]
    assert (recording.kept(picture, product) == 1.0) is same
