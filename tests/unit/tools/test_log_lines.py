"""A search in logs: JSON is understood, other lines are kept as they are, and what is not known is not hidden."""

from __future__ import annotations

import json

import log_lines
import pytest
from log_lines import Filter, FilterError

REQUEST = "4bf92f3577b34da6a3ce929d0e0e4736"
KAFKA = "[2026-11-29 04:00:00,000] ERROR Error while reading checkpoint (kafka.server.Log)"


def line(**fields: object) -> str:
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        (line(level="info", message="an error that is over"), "info"),
        (line(level="WARNING"), "warning"),
        (line(severity="fatal"), "critical"),
        (line(status=200, path="/"), "info"),
        (line(status=404), "warning"),
        (line(status=503), "error"),
        (line(level="odd"), ""),
        (KAFKA, "error"),
        ("[2026-11-29 04:00:00,000] INFO [Broker id=1] it had an ERROR before", "info"),
        ("2026/11/29 04:00:00 [crit] 7#7: *1 connect() failed", "critical"),
        ('ts=2026-11-29 caller=main.go:1 level=warn msg="slow"', "warning"),
        ("1:M 29 Nov 2026 04:00:00.000 # WARNING: overcommit", "warning"),
        ("1:M 29 Nov 2026 04:00:00.000 * Ready to accept connections", "info"),
        ('  File "app.py", line 7, in main', ""),
        ("hello", ""),
        ("{broken", ""),
        ("[" * 5000, ""),
        ("", ""),
    ],
)
def test_the_level_is_read_as_each_program_writes_it(text: str, level: str) -> None:
    assert log_lines.level_of(log_lines.parsed(text), text) == level


def test_a_level_takes_worse_ones_and_lines_that_name_none() -> None:
    wanted = log_lines.made(None, "Warn", None)
    shown = [one for one in (line(level="info"), line(level="error"), KAFKA, "  trace of it") if wanted.takes(one)]
    assert shown == [line(level="error"), KAFKA, "  trace of it"]


def test_a_request_is_found_in_json_and_in_text_and_no_other_one_is() -> None:
    wanted = log_lines.made(None, None, REQUEST)
    taken = (line(request_id=REQUEST), line(trace_id=REQUEST.upper()), f"request {REQUEST}: timed out")
    left = (line(request_id=f"{REQUEST}0"), f"x{REQUEST}", line(request_id="other"), "plain")
    assert all(wanted.takes(one) for one in taken)
    assert not any(wanted.takes(one) for one in left)


def test_a_pattern_is_looked_for_in_the_line_and_in_what_json_says() -> None:
    wanted = log_lines.made('caf\u00e9|a "b"', None, None)
    assert wanted.takes(line(message="caf\u00e9"))  # written as caf\\u00e9
    assert wanted.takes(line(message='a "b"'))
    assert not wanted.takes("tea")


def test_filters_hold_together() -> None:
    wanted = log_lines.made("disk", "error", REQUEST)
    assert wanted.takes(line(level="error", message="disk", request_id=REQUEST))
    assert not wanted.takes(line(level="info", message="disk", request_id=REQUEST))
    assert not wanted.takes(line(level="error", message="net", request_id=REQUEST))
    assert not Filter().is_set
    assert Filter().takes("anything")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("[", None, None), "--grep '[' is no regular expression: unterminated character set"),
        (("a{99999999999}", None, None), "is no regular expression"),
        ((None, "loud", None), "--level 'loud': expected one of debug, info, warning, error, critical"),
        ((None, None, "a b"), "--request-id 'a b': expected an id"),
        ((None, None, "x" * 300), "--request-id"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_reason(given: tuple[str | None, ...], said: str) -> None:
    with pytest.raises(FilterError) as refused:
        log_lines.made(*given)
    assert said in str(refused.value)
