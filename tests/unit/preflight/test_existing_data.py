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


def of_backup(writes: str, wrote: str, coordination: str = "kraft", copies: int = 1, had: int = 1) -> str:
    """What is wrong with a backup that version `wrote` made, for a stack that runs version `writes`."""
    says = {"version": {"setting": "kafka_coordination", "value": coordination, "means": {"1": "kraft"}}}
    marker = {"container": "kafka", "directory": "kafka", "says": says, "writes": writes}
    marker |= {"copies": {"kafka_brokers": copies}}
    kept = {
        "container": "kafka",
        "directory": "kafka",
        "fits": {},
        "writes": wrote,
        **({"copies": had} if had > 1 else {}),
    }
    backup = {"markers": {"kafka/kafka": KRAFT}, "kept": [kept]}
    services = {"kafka": {"containers": {"kafka": {}}, "existing_data": [marker]}}
    return "\n".join(existing_data.of_backup(services, cast("Any", backup)))


def test_a_backup_of_an_earlier_or_the_same_version_is_accepted() -> None:
    assert of_backup("4.1", "4.1") == of_backup("4.1", "3.9") == of_backup("4.1", "") == ""


def test_a_backup_that_the_services_cannot_read_is_refused_with_the_reason() -> None:
    assert "written by version 4.10, and this stack would run version 4.9" in of_backup("4.9", "4.10")
    told_of = of_backup("4.1", "4.1", "zookeeper")
    assert "kafka_coordination is 'zookeeper', but the data of kafka in the backup were written with kraft" in told_of


@pytest.mark.parametrize(("copies", "had"), [(1, 3), (3, 1)])
def test_a_backup_of_another_number_of_copies_is_refused_with_what_to_do(copies: int, had: int) -> None:
    assert of_backup("4.1", "4.1", copies=had, had=had) == ""
    told = of_backup("4.1", "4.1", copies=copies, had=had)
    assert f"kafka_brokers is {copies}, but {had} had the data of kafka in the backup" in told
    assert f"restore it with kafka_brokers={had}" in told


def test_how_many_have_data_is_said_in_a_release_where_it_is_more_than_one() -> None:
    marker = {"container": "kafka", "directory": "kafka"}
    for copies, said in ((1, {}), (3, {"copies": 3})):
        declared = {"kafka": {"existing_data": [{**marker, "copies": {"kafka_brokers": copies}}]}}
        (kept,) = existing_data.kept(declared, "sse")
        assert {key: one for key, one in cast("Any", kept).items() if key == "copies"} == said


def test_a_wrong_declaration_is_refused_by_its_place() -> None:
    with pytest.raises(SpecError, match=r"x\.existing_data\[0\]\.directory: required"):
        existing_data.problems(
            {"x": {"existing_data": [{"container": "x"}]}}, cast("Any", {"stack_name": "s"}), cast("Any", {})
        )
