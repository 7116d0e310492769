"""What doctor --fix may run."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor import diagnosis, mending
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import (
    BRIDGE,
    EMPTY,
    NETWORK,
    OTHER,
    Changes,
    findings,
    with_kafka,
)


@pytest.mark.parametrize(
    "changes",
    [
        {"networks": [BRIDGE], "connections": [], "ports": [], "containers": with_kafka(labels={})},
        {"rules": EMPTY, "host": {"engine": {"managed": False}}},
        {"rules": EMPTY, "host": {"engine": {"live_restore": False}}, "info": {}},
        {"host": {"engine": {"swarm": "error"}}},
        {"networks": [NETWORK, BRIDGE, {**OTHER, "labels": {}, "endpoints": {}}]},
        {"containers": with_kafka(labels={}, inside={"interfaces": []})},
    ],
)
def test_what_is_not_ours_is_found_and_never_mended(changes: Changes) -> None:
    found = findings(changes)
    assert found
    assert mending.commands(found) == []


def test_commands_run_once_and_advice_never() -> None:
    finding = Finding("a", "b", "c", "d", ("# think", "true", "true"), fixable=True)
    assert mending.commands([finding, finding]) == ["true"]


@pytest.mark.parametrize(
    ("around", "expected"),
    [
        ({"variables": {}, "context": ""}, "docker start"),
        ({"variables": {"DOCKER_HOST": "tcp://h:1"}, "context": ""}, "docker -H unix:///var/run/docker.sock start"),
        ({"variables": {}, "context": "far"}, "docker -H unix:///var/run/docker.sock start"),
        ({"variables": {"DOCKER_HOST": "unix:///run/docker.sock"}, "context": ""}, "docker start"),
    ],
)
def test_a_command_names_the_engine_where_another_one_is_chosen(around: dict[str, Any], expected: str) -> None:
    surroundings = {"socket": {"target": "/run/docker.sock"}, **around}
    found = with_surroundings(surroundings)
    assert [line for line in found if line.startswith(expected)], found
    assert not [line for line in found if "service docker -H" in line]


def with_surroundings(surroundings: dict[str, Any]) -> list[str]:
    finding = Finding("x", "y", "z", "e", ("docker start sse-kafka", "service docker restart", "# docker is slow"))
    facts: Any = {"host": {"surroundings": surroundings}}
    return list(diagnosis.for_this_engine(facts, finding).mend)
