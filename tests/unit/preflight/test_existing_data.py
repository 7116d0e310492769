"""Data of another format or cluster are refused before anything changes."""

from __future__ import annotations

from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.preflight import existing_data

KRAFT = {"version": "1", "cluster.id": "one", "node.id": "1"}


def told(marker: dict[str, str], coordination: str = "kraft", cluster: str = "", **container: str) -> str:
    says = {
        "version": {"setting": "kafka_coordination", "value": coordination, "means": {"1": "kraft", "0": "zookeeper"}},
        "cluster.id": {"setting": "kafka_cluster_id", "value": cluster},
    }
    kafka = {
        "containers": {"kafka": container},
        "existing_data": [{"container": "kafka", "directory": "kafka", "says": says}],
    }
    settings = {"stack_name": "sse", "stack_state_directory": "/state"}
    host = {"data_markers": {"sse-kafka/kafka": marker}}
    return "\n".join(existing_data.problems({"kafka": kafka}, cast("Any", settings), cast("Any", host)))


def test_data_that_fit_and_no_data_are_accepted() -> None:
    assert told(KRAFT) == told(KRAFT, cluster="one") == told({"version": "0"}) == told({}) == ""
    assert told(KRAFT, "zookeeper", name="other") == ""


def test_data_of_another_format_or_cluster_are_refused() -> None:
    assert "kafka_cluster_id is 'two'" in told(KRAFT, cluster="two")
    assert "written with one (cluster.id=one): expected one or ''" in told(KRAFT, cluster="two")
    assert "kafka_coordination is 'zookeeper'" in told(KRAFT, "zookeeper")
    assert "/state/data/sse-kafka/kafka were written with kraft (version=1): expected kraft" in told(KRAFT, "zookeeper")


def test_a_wrong_declaration_is_refused_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"x\.existing_data\[0\]\.directory: required"):
        existing_data.problems(
            {"x": {"existing_data": [{"container": "x"}]}}, cast("Any", {"stack_name": "s"}), cast("Any", {})
        )
