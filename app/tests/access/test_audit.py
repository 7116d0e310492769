from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from sse_app.access.audit import Audit
from sse_app.base.channels import exactly, parse
from sse_app.base.log_lines import JsonLines
from sse_app.base.metrics import Metrics


def decisions(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(JsonLines("r").format(one))["decision"] for one in caplog.records if hasattr(one, "decision")]


@pytest.fixture
def metrics(caplog: pytest.LogCaptureFixture) -> Metrics:
    caplog.set_level(logging.INFO, "sse_app.audit")
    return Metrics()


def test_a_line_says_who_wanted_what_and_how_it_ended(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    audit = Audit(metrics, 1)
    audit.allowed("key:web", "subscribe", parse(["orders.*"]))
    audit.refused("key:web", "publish", "no right to these channels", exactly(["stock\nforged"]))
    assert decisions(caplog) == [
        {"principal": "key:web", "right": "subscribe", "channels": ["orders.*"], "outcome": "allowed"},
        {
            "principal": "key:web",
            "right": "publish",
            "channels": ["stock\nforged"],
            "outcome": "refused",
            "reason": "no right to these channels",
        },
    ]
    assert "\n" not in caplog.records[-1].getMessage()


def test_of_what_is_allowed_one_of_many_is_written_and_all_are_counted(
    metrics: Metrics, caplog: pytest.LogCaptureFixture
) -> None:
    audit = Audit(metrics, 10)
    for _ in range(25):
        audit.allowed("a", "publish")
    assert (len(decisions(caplog)), metrics.decisions["allowed"]) == (3, 25)
    Audit(metrics, 0).allowed("a", "publish")
    assert len(decisions(caplog)) == 3


def test_a_flood_of_refusals_does_not_fill_the_log_and_says_how_many_are_missing(
    metrics: Metrics, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("sse_app.access.audit.time.monotonic", lambda: clock)
    audit = Audit(metrics, 1)
    for _ in range(1000):
        audit.refused("", "credential", "missing")
    assert (len(decisions(caplog)), metrics.decisions["refused"], metrics.audit_dropped) == (200, 1000, 800)
    clock += 1
    audit.refused("", "credential", "missing")
    assert decisions(caplog)[-1]["dropped_before"] == 800


def test_a_line_has_a_bounded_length(metrics: Metrics, caplog: pytest.LogCaptureFixture) -> None:
    Audit(metrics, 1).refused("p" * 9999, "publish", "r", exactly(f"{n}{'x' * 9999}" for n in range(500)))
    [one] = decisions(caplog)
    assert (len(one["principal"]), len(one["channels"]), one["further_channels"]) == (200, 10, 490)
    assert len(json.dumps(one)) < 4000
