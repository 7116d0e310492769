"""What is found wrong in a Swarm, by host, as a table."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_checks
from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_checks import Seen, findings

GROUPS: Any = {"managers": ["a"], "edge": ["a", "b"], "app": ["a", "b"], "data": ["b"]}
ADDRESSES = {"a": "127.0.0.2", "b": "127.0.0.3"}
OWN = {
    "a": ["group.sse.managers", "group.sse.edge", "group.sse.app", "group.sse.every"],
    "b": ["group.sse.edge", "group.sse.app", "group.sse.data", "group.sse.every", "holds.sse-k"],
}


def node(host: str, **changes: Any) -> Any:
    return {
        "id": f"n-{host}",
        "name": host,
        "role": "manager" if host == "a" else "worker",
        "availability": "active",
        "state": "ready",
        "address": ADDRESSES[host],
        "engine": "26",
        "labels": {f"sse.platform.{key}": "true" for key in OWN[host]},
        "leader": host == "a",
        "reachable": host == "a",
        **changes,
    }


def service(name: str, mode: str, group: Any, *ports: int) -> SwarmService:
    request = {
        "Mode": {mode: {}},
        "EndpointSpec": {"Ports": [{"PublishedPort": port} for port in ports]},
    }
    return SwarmService(name, group, group == "data", "", 0, 0, request, {}, [], [])


REPLICA: Any = {"Mode": {"Replicated": {}}, "EndpointSpec": {"Ports": []}}
SERVICES = [service("sse-e", "Global", "edge", 80), service("sse-k", "Replicated", "data")]
RELEASE: Any = {
    "stack": "sse",
    "containers": {"sse-e": {"ports": [{"host_port": 80}]}, "sse-k": {"ports": [{"host_port": 6379}]}},
}


def observed(name: str, running: dict[str, int], **changes: Any) -> ObservedService:
    given: dict[str, Any] = {"wanted": 2 if name == "sse-e" else 1, "waits": [], "update": "", "message": "", **changes}
    return ObservedService(name, name, {}, {}, running=running, **given)


RUNNING = [observed("sse-e", {"n-a": 1, "n-b": 1}), observed("sse-k", {"n-b": 1})]
UNLIKE = "its labels or its role differ from the inventory"
OPEN = "which sse-k has for administrators, answers to others"
REFUSED = "Connection refused"
ANSWERED = {("127.0.0.2", 80): "", ("127.0.0.3", 80): "", ("127.0.0.2", 6379): REFUSED, ("127.0.0.3", 6379): REFUSED}


def seen(**changes: Any) -> Seen:
    nodes = {"a": node("a"), "b": node("b")} | changes.pop("nodes", {})
    return Seen(
        SERVICES, [RELEASE], GROUPS, ADDRESSES, {k: v for k, v in nodes.items() if v}, changes.get("runs", RUNNING)
    )


def test_nothing_is_found_where_all_is_well() -> None:
    assert findings(seen(), ANSWERED) == []


@pytest.mark.parametrize(
    ("changes", "answered", "said"),
    [
        ({"nodes": {"b": None}}, {}, ["b: it is no node of the Swarm [node]"]),
        ({"nodes": {"b": node("b", state="down")}}, {}, ["b: its node does not work [node]"]),
        ({"nodes": {"b": node("b", availability="drain")}}, {}, ["b: it gets no tasks [node]"]),
        ({"nodes": {"a": node("a", reachable=False)}}, {}, ["a: the other managers do not reach it [quorum]"]),
        ({"nodes": {"a": node("a", role="worker")}}, {}, [f"a: {UNLIKE} [placement]"]),
        ({"runs": RUNNING[1:]}, {}, ["sse-e: it is not there [service]"]),
        (
            {"runs": [RUNNING[0], observed("sse-k", {}, waits=["no suitable node"])]},
            *({}, ["sse-k: not all of it runs [service]"]),
        ),
        (
            {"runs": [observed("sse-e", {"n-a": 1}, wanted=1), RUNNING[1]]},
            *({}, ["sse-e: it does not run on b [service]"]),
        ),
        ({}, {("127.0.0.3", 80): REFUSED}, ["b: port 80 of sse-e does not answer there [published-port]"]),
        ({}, {("127.0.0.3", 6379): ""}, [f"b: port 6379, {OPEN} [open-port]"]),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_host(changes: Any, answered: dict[Any, str], said: list[str]) -> None:
    found = findings(seen(**changes), ANSWERED | answered)
    assert said[0] in [one.lines[0] for one in found]
    assert all(one.evidence and one.mend for one in found)


def test_a_drained_host_is_one_finding_and_only_its_data_are_missed() -> None:
    runs = [observed("sse-e", {"n-a": 1}, wanted=1), RUNNING[1]]
    drained = seen(nodes={"b": node("b", availability="drain")}, runs=runs)
    silent = ANSWERED | {("127.0.0.3", 80): REFUSED}
    [found] = findings(drained, silent)
    assert (found.wrong, found.mend) == (swarm_checks.NO_TASKS, ("./sse node add b",))
    away = drained._replace(observed=[runs[0], observed("sse-k", {}, waits=["no suitable node"])])
    told = {one.lines[0]: one.mend for one in findings(away, silent)}
    assert told.pop("sse-k: it waits for b, which has its data and gets no tasks [service]") == ("./sse node add b",)
    assert list(told) == ["b: it gets no tasks [node]"]


def test_data_without_a_labelled_host_are_told() -> None:
    labels = {key: value for key, value in node("b")["labels"].items() if "holds" not in key}
    found = findings(seen(nodes={"b": node("b", labels=labels)}), ANSWERED)
    assert [one.lines[0] for one in found] == ["sse-k: no host is labelled as the one with its data [placement]"]


def test_a_host_that_does_not_answer_is_a_finding_and_so_is_what_waits_for_it() -> None:
    runs = [observed("sse-e", {"n-a": 1}, wanted=1), observed("sse-k", {}, waits=["no suitable node"])]
    looked = seen(nodes={"b": node("b", state="down")}, runs=runs)._replace(addresses={"a": ADDRESSES["a"]})
    found = {one.lines[0]: one for one in findings(looked, ANSWERED)}
    assert "b: it does not answer to this run [host]" in found
    waits = found["sse-k: it waits for b, which has its data and does not work [service]"]
    assert waits.evidence == "0 of 1 tasks run (on no host); no suitable node"
    unknown = findings(looked._replace(nodes={"a": node("a")}), ANSWERED)
    assert any("unknown by this name" in one.evidence for one in unknown)


def test_replicas_that_pile_up_on_one_host_are_told() -> None:
    pair = [SwarmService(f"sse-r-{n}", "app", False, "r", 0, 0, REPLICA, {}, [], []) for n in (1, 2)]
    runs = [*RUNNING, *(observed(one.name, {"n-a": 1}) for one in pair)]
    [found] = findings(seen(runs=runs)._replace(services=[*SERVICES, *pair]), ANSWERED)
    assert found.lines[0] == "sse-r-2: its host has more replicas than another [placement]"
    assert found.evidence == "it runs on a, and b has room"


def test_a_service_that_does_not_run_says_why() -> None:
    runs = [RUNNING[0], observed("sse-k", {}, waits=["no suitable node", "exit 1"])]
    [found] = findings(seen(runs=runs), ANSWERED)
    assert found.evidence == "0 of 1 tasks run (on no host); no suitable node; exit 1"


def test_every_port_is_tried_on_every_host() -> None:
    with socket.create_server(("127.0.0.2", 0)) as one:
        port = one.getsockname()[1]
        looked = seen()._replace(services=[service("sse-e", "Global", "edge", port)])
        answered = swarm_checks.answers(looked)
    assert answered["127.0.0.2", port] == ""
    assert answered["127.0.0.3", port] == REFUSED
    assert {target[1] for target in answered} == {port, 80, 6379}
