"""What a run tells Prometheus: names of containers by their ids, and the release that was applied last."""

from __future__ import annotations

import datetime as dt
import json
import stat
from pathlib import Path
from typing import Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import told_metrics
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from prometheus_client.parser import text_string_to_metric_families as parsed

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def container(name: str, stack: str = "sse", short: str = "app-1") -> Observed:
    labels = {f"{LABEL}stack": stack, f"{LABEL}container": short, f"{LABEL}release": "7"}
    return Observed(name, f"id of {name}", labels, "running", "healthy")


class Engine:
    """An engine that lists containers, or does not answer."""

    def __init__(self, *there: Observed, answers: bool = True) -> None:
        self.there, self.answers = there, answers

    def containers(self) -> list[Observed]:
        if not self.answers:
            raise EngineError("gone")
        return list(self.there)


def stored(**changes: Any) -> Any:
    meta = {"commit": "6f29dad", "when": "2026-01-02T03:04:05Z", "outcome": "applied", **changes}
    return {"project": "sse-platform", "number": 7, "meta": meta}


def test_each_container_of_the_stack_is_named_by_its_id_and_no_other_one() -> None:
    there = [container("sse-app-1"), container("other-app-1", "other"), container("sse-nginx", short="nginx")]
    read = json.loads(told_metrics.names(there, "sse", NOW))
    assert read == {
        "written": 1767323045,
        "containers": {
            "id of sse-app-1": {"name": "sse-app-1", "container": "app-1", "release": "7"},
            "id of sse-nginx": {"name": "sse-nginx", "container": "nginx", "release": "7"},
        },
    }


def test_a_container_that_is_there_during_a_replacement_alone_has_no_name() -> None:
    there = [container("sse-app-1"), container("sse-app-1-next"), container("sse-app-1-previous")]
    assert list(json.loads(told_metrics.names(there, "sse", NOW))["containers"]) == ["id of sse-app-1"]


def test_the_names_can_be_read_by_everybody_and_an_engine_that_is_gone_leaves_them(tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    told_metrics.tell_names(cast("Any", Engine(container("sse-app-1"))), state, "sse")
    file = tmp_path / "state/matrix/containers.json"
    before = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o444
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o755
    told_metrics.tell_names(cast("Any", Engine(answers=False)), state, "sse")
    assert file.read_text() == before


def test_the_applied_release_is_a_metric_and_a_failed_one_is_not() -> None:
    found = list(parsed(told_metrics.releases([stored(), stored(outcome="failed")])))
    labels = {"project": "sse-platform", "number": "7", "commit": "6f29dad"}
    assert [(one.name, one.labels, one.value) for family in found for one in family.samples] == [
        ("sse_release_info", labels, 1),
        ("sse_release_timestamp_seconds", labels, 1767323045),
    ]


def test_a_release_without_a_commit_or_a_time_is_a_metric_all_the_same() -> None:
    found = list(parsed(told_metrics.releases([stored(commit='"\\', when="")])))
    assert [(one.name, one.labels["commit"]) for family in found for one in family.samples] == [
        ("sse_release_info", '"\\')
    ]
