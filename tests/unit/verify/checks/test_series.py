"""The check that a container offers the metrics which exist once a verification has been written down."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import series

ASKED: Any = {"port": 80, "path": "/metrics", "names": ["one", "two"]}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "PAUSE", 0.01)
    monkeypatch.setattr(series, "PATIENCE", 0.1)


def answers(monkeypatch: pytest.MonkeyPatch, *found: Any) -> list[Any]:
    """Have the container answer these in turn, and the last one for ever."""
    left = list(found)
    monkeypatch.setattr(series, "request", lambda *_, **__: left.pop(0) if len(left) > 1 else left[0])
    return left


def said(status: int, body: str, shown: str = "") -> Any:
    return SimpleNamespace(status=status, body=body, shown=shown)


def checked() -> Any:
    subject: Any = SimpleNamespace(name="it-a", endpoint=lambda port: Endpoint("it-a", "10.0.0.1", port))
    running: Any = None
    return series.check(running, subject, ASKED)


def test_an_exporter_that_answers_late_after_a_change_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    left = answers(
        monkeypatch, said(0, "", "TimeoutError: timed out"), said(200, "one 1\n"), said(200, 'one 1\ntwo{a="b"} 2\n')
    )
    assert (checked().findings, len(left)) == ([], 1)


def test_a_metric_that_is_not_there_is_named_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    answers(monkeypatch, said(200, "# HELP two\none 1\nthree 3\n"))
    (finding,) = checked().findings
    assert finding.wrong.endswith("does not have the metrics two")
    assert finding.evidence == "2 others are there"
