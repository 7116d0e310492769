"""How many streams a container holds, read from its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import streams
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer
from ansible_collections.sse.platform.plugins.module_utils.releases.history import experience

if TYPE_CHECKING:
    import pytest


def test_only_containers_that_change_are_asked_and_one_that_is_silent_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bodies = {"10.0.0.21": "# HELP x\nx_total 9\nx 3.0\n", "10.0.0.22": ""}
    monkeypatch.setattr(streams, "request", lambda endpoint, *_, **__: Answer(200, bodies[endpoint.host]))
    containers: Any = {f"s-a-{n}": {"container": f"a-{n}", "networks": {"n": f"10.0.0.2{n}"}} for n in (1, 2, 3)}
    metrics = [{"targets": ["a-1:80", "a-2:80", "a-3:80"], "path": "/metrics", "streams": "x"}]
    assert streams.open_streams(metrics, containers, {"s-a-1", "s-a-2"}) == {"s-a-1": 3}


def test_a_metric_with_labels_is_summed_up() -> None:
    assert streams.sample('x{a="1"} 2\nx{a="2"} 3\n', "x") == 5


def test_experience_is_the_last_time_that_a_step_was_done() -> None:
    runs: Any = [
        {"outcome": "applied", "changes": [{"kind": "replace", "container": "a", "seconds": 9.0}]},
        {"outcome": "applied", "changes": [{"kind": "replace", "container": "a", "seconds": 2.0}]},
        {"outcome": "failed", "changes": [{"kind": "replace", "container": "a", "seconds": 60.0}]},
    ]
    assert experience(runs) == {"replace a": 2.0}
