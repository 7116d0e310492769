"""Events through each edge of a cluster: who is asked, by which name and key, and what is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.deliveries import Passage
from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_checks import Seen

PARAMETERS = {"through": "door", "health": "/health", "key": {"name": "verify", "secret": "proof"}}
RELEASE: Any = {
    "stack": "sse",
    "containers": {name: {"container": name.removeprefix("sse-")} for name in ("sse-door", "sse-r-1", "sse-r-2")},
    "endpoints": [
        {"container": "door", "url": "http://x:80/api/"},
        {"container": "door", "url": "https://x:443/api/"},
    ],
    "checks": [
        {"kind": "deliveries", "service": "r", "containers": ["r-1", "r-2"], "parameters": PARAMETERS},
        {"kind": "http", "service": "r", "containers": ["r-1"], "parameters": {}},
    ],
}
REQUEST: Any = {"Mode": {"Global": {}}, "EndpointSpec": {"Ports": [{"PublishedPort": 80}, {"PublishedPort": 443}]}}
DOOR = SwarmService("sse-door", "edge", pinned=False, together="", first=0, wave=0, request=REQUEST, files={},
                    directories=[], left_out=[])  # fmt: skip
NEVER = float("inf")
SEEN = Seen([DOOR], [RELEASE], {"edge": ["a", "b"], "managers": ["a"]}, {"a": "192.0.2.1", "b": "192.0.2.2"}, {}, [])


class Asked:
    """What was asked, with answers."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.serves = {"192.0.2.1": 0.0, "192.0.2.2": 0.0}  # from when on
        self.now = 0.0
        self.offered: list[list[Endpoint]] = []
        self.trips: list[tuple[Any, ...]] = []
        monkeypatch.setattr(swarm_deliveries, "serving", self.serving)
        monkeypatch.setattr(swarm_deliveries.deliveries, "travel", self.travel)

    def serving(self, endpoints: list[Endpoint], path: str) -> Endpoint | None:
        assert path == "/health"
        self.offered.append(endpoints)
        return next((one for one in endpoints if one.tls and self.serves.get(one.host, NEVER) <= self.now), None)

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def through(self, state_directory: Path) -> Checked:
        return swarm_deliveries.through_edges(SEEN, str(state_directory), lambda: self.now, self.sleep)

    def travel(self, *given: Any) -> Passage:
        self.trips.append(given)
        return Passage([], 2, 5)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def test_each_edge_is_the_way_once_and_the_others_listen(asked: Asked, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/proof").write_text("s3cret")
    checked = asked.through(tmp_path)
    assert (checked.findings, checked.verified) == ([], 10)
    assert [(one.url, one.called) for one in asked.offered[1]] == [
        ("http://192.0.2.2:80", "localhost"),
        ("https://192.0.2.2:443", "localhost"),
    ]
    for (parameters, edge, others, operator, names), host in zip(asked.trips, ("a", "b"), strict=True):
        assert parameters == PARAMETERS
        assert edge.name == f"sse-door on {host}"
        assert edge.key == "verify.s3cret"
        assert [one.name for one in others] == [f"sse-door on {'ab'.replace(host, '')}"]
        assert (operator, names) == ({}, ["sse-r-1", "sse-r-2"])


def test_an_edge_that_serves_nothing_is_told_and_the_others_are_asked(asked: Asked, tmp_path: Path) -> None:
    asked.serves = {"192.0.2.2": 0.0}
    [found] = asked.through(tmp_path).findings
    assert isinstance(found, Finding)
    assert found.lines[0] == "a: serves the API at no published port [deliveries]"
    assert found.evidence == "none of http://192.0.2.1:80, https://192.0.2.1:443 answers /health with 200"
    assert len(asked.trips) == 1


def test_an_edge_gets_the_time_to_find_new_replicas(asked: Asked, tmp_path: Path) -> None:
    asked.serves["192.0.2.1"] = 9.0
    assert asked.through(tmp_path).findings == []
    assert len(asked.trips) == 2


def test_a_server_is_asked_by_the_name_that_it_answers_to() -> None:
    assert Endpoint("x", "192.0.2.1", 80, key="k", called="localhost").credential == {
        "Host": "localhost",
        "Authorization": "Bearer k",
    }
    assert Endpoint("x", "192.0.2.1", 80).credential == {}
