"""Whether a container counts as healthy."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
from ansible_collections.sse.platform.plugins.module_utils.engine.health import passed_lately


def checked(seconds_ago: float, code: int = 0, status: str = "healthy") -> dict[str, Any]:
    ended = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=seconds_ago)
    local = ended.astimezone(dt.timezone(dt.timedelta(hours=2)))
    text = local.strftime("%Y-%m-%dT%H:%M:%S.123456789+02:00")
    return {
        "State": {"Health": {"Status": status, "Log": [{"ExitCode": 1, "End": ""}, {"ExitCode": code, "End": text}]}}
    }


@pytest.mark.parametrize(
    ("inspected", "lately"),
    [
        (lambda: checked(3), True),
        (lambda: checked(20), False),
        (lambda: checked(3, code=1), False),
        (lambda: checked(3, status="starting"), False),
        (lambda: {"State": {"Health": {"Status": "healthy", "Log": []}}}, False),
        (lambda: {"State": {}}, False),
    ],
    ids=["passed", "too long ago", "failed last", "not healthy yet", "never ran", "no check"],
)
def test_the_engines_own_check_counts_only_while_it_is_fresh(
    inspected: Callable[[], dict[str, Any]], lately: bool
) -> None:
    assert passed_lately(cast("Inspected", inspected()), 10) is lately
