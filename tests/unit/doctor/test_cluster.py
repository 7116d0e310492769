"""What is wrong with the hosts of a cluster together, as a table: one fault, one finding with its host."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.doctor import cluster
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

GROUPS: Any = {"managers": ["a", "b", "c"], "edge": ["a"], "app": ["a", "b", "c"], "data": ["b"]}
ENGINE = {"version": "26.1.5", "live_restore": False}


def node(name: str, **changes: Any) -> dict[str, Any]:
    address = f"192.0.2.{ord(name) - ord('a')}"
    own = {"id": f"n-{name}", "name": name, "address": address, "role": "manager", "state": "ready", "reachable": True}
    return {**own, **changes}


NODES = [node("a"), node("b"), node("c")]


def service(name: str, image: str, group: Any) -> SwarmService:
    request = {"Mode": {"Replicated": {}}, "TaskTemplate": {"ContainerSpec": {"Image": image}}}
    return SwarmService(name, group, group == "data", "", 0, 0, request, {}, [], [])


def shown(number: int, **changes: Any) -> Shown:
    host = {"engine": ENGINE, "engine_error": "", "daemon_json": {}, "images": {"i:1": "1", "k:1": "2"}}
    swarm = {"state": "active", "error": "", "manager": True, "nodes": NODES}
    own: dict[str, Any] = {"host": {**host, **changes.pop("host", {})}}
    own["swarm"] = None if own["host"]["engine"] is None else {**swarm, **changes.pop("swarm", {})}
    return Shown(**{"address": f"192.0.2.{number}", "unmet": [], "held": [], **own, **changes})  # type: ignore[arg-type]


def diagnose(*lost: str, seen: Any = (), **changes: Any) -> list[Finding]:
    hosts = {name: shown(number, **changes.get(name, {})) for number, name in enumerate("abc") if name not in lost}
    services = [service("sse-r", "i:1", "app"), service("sse-k", "k:1", "data")]
    return cluster.diagnose(cluster.Facts(GROUPS, hosts, services, {"sse-k": "b"}), seen)


LEADERLESS = {"swarm": {"nodes": [], "error": "The swarm does not have a leader"}}


def unmet(port: int, protocol: str) -> dict[str, Any]:
    return {"peer": "c", "protocol": protocol, "port": port, "why": "no answer"}


def test_a_healthy_cluster_has_no_finding() -> None:
    assert diagnose() == []
    facts = cluster.Facts(GROUPS, {"a": shown(1)}, [service("sse-r", "i:1", "app")], {})
    assert cluster.summary(facts) == "all is well: looked at 1 hosts, 1 services, and the ports between the hosts"


CASES: dict[str, tuple[list[str], dict[str, Any], tuple[str, str, str, str]]] = {
    "live-restore": (
        [],
        {"c": {"host": {"engine": {**ENGINE, "live_restore": True}}}},
        ("live-restore", "c", "live-restore is on, and with it the engine of a node does not start", "warning"),
    ),
    "live-restore for the next start": (
        [],
        {"c": {"host": {"daemon_json": {"live-restore": True}}}},
        ("live-restore", "c", "live-restore is on, and with it the engine of a node does not start", "warning"),
    ),
    "an engine that is down": (
        [],
        {"b": {"host": {"engine": None, "engine_error": "no socket"}}},
        ("engine-down", "b", "no Docker Engine answers there", "critical"),
    ),
    "an engine that left": (
        [],
        {"b": {"swarm": {"state": "inactive", "manager": False, "nodes": []}}},
        ("node-state", "b", "its engine is in no Swarm that works", "critical"),
    ),
    "no quorum": (
        ["b", "c"],
        {"a": LEADERLESS},
        ("quorum", "a", "the managers decide nothing: nothing can be changed", "critical"),
    ),
    "one manager short": (
        ["c"],
        {name: {"swarm": {"nodes": [node("a"), node("b"), node("c", reachable=False)]}} for name in "ab"},
        ("quorum-short", "c", "no further manager may be lost", "warning"),
    ),
    "a manager apart": (
        [],
        {"c": LEADERLESS},
        ("manager-apart", "c", "it is apart from the other managers", "critical"),
    ),
    "closed ports": (
        [],
        {"a": {"unmet": [unmet(7946, "tcp"), unmet(4789, "udp"), unmet(7946, "udp")]}, "c": {"held": ["4789/udp"]}},
        ("ports-between-hosts", "a", "it does not reach the Swarm's ports of c", "critical"),
    ),
    "clocks": (
        [],
        {"b": {"ahead": 60.0}, "c": {"ahead": 0.2}},
        ("clock-skew", "b", "its clock is apart from others", "warning"),
    ),
    "ports of the Swarm that are open": (
        [],
        {"b": {"admits": {"addresses": None, "kept": False}}},
        ("swarm-ports", "b", "nothing closes the Swarm's ports to strangers: 2377, 7946 and 4789 are open", "critical"),
    ),
    "an image": (
        [],
        {"c": {"host": {"images": {}}}},
        ("image-missing", "c", "the image of sse-r is not there", "warning"),
    ),
}


@pytest.mark.parametrize("what", CASES)
def test_a_fault_is_one_finding_with_its_host(what: str) -> None:
    lost, changes, (rule, host, wrong, severity) = CASES[what]
    [found] = diagnose(*lost, **changes)
    assert (found.rule, found.subject, found.severity) == (rule, host, severity)
    assert found.wrong.startswith(wrong)
    assert found.mend
    assert found.evidence


def test_a_port_that_an_engine_has_is_not_told_beside_one_that_is_closed() -> None:
    [found] = diagnose(a={"unmet": [unmet(7946, "tcp"), unmet(4789, "udp")]}, c={"held": ["4789/udp"]})
    assert found.evidence == "192.0.2.2: 7946/tcp (no answer)"


def test_two_managers_of_five_may_be_lost_before_it_is_told() -> None:
    five = [node(name) for name in "abcde"]
    for count, told in ((1, 0), (2, 1)):
        nodes = [{**one, "reachable": number >= count} for number, one in enumerate(five)]
        found = diagnose(**{name: {"swarm": {"nodes": nodes}} for name in "abc"})
        assert len([one for one in found if one.rule == "quorum-short"]) == told


def test_what_a_manager_sees_is_told_by_its_severity_and_an_engine_that_is_down_once() -> None:
    drained = Finding("node", "a", "it gets no tasks", "its availability is drain", ("./sse node add a",))
    down = Finding("node", "b", "its node does not work", "down", ("#",))
    gone = Finding("service", "sse-k", "it waits for b", "0 of 1 tasks run", ("#",))
    found = diagnose(seen=[drained, down, gone], b={"host": {"engine": None}})
    told = [(one.rule, one.subject, one.severity) for one in found]
    assert told == [("engine-down", "b", "critical"), ("service", "sse-k", "critical"), ("node", "a", "warning")]


def test_hosts_that_do_not_answer_are_told_where_no_manager_says_more() -> None:
    facts = cluster.Facts(GROUPS, {"a": shown(1)}, [], {})
    assert [one.subject for one in cluster.silent(facts)] == ["b", "c"]
