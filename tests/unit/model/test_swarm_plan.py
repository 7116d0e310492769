"""The plan over the services of a Swarm as a table: what should run, what is shown, what follows."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import (
    Home,
    PlacementError,
    at_home,
    by_host,
    carried,
    holders,
    homes,
    steps,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import swarm_plan
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService

NETWORKS = {"id-of-net": "sse-network"}


def request(**container: Any) -> dict[str, Any]:
    return {
        "Name": "sse-a",
        "Mode": {"Replicated": {"Replicas": 2}},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "i:1",
                "Env": ["A=1", "B=x=y"],
                "Init": False,
                "Mounts": [{"Type": "bind", "Source": "/s", "Target": "/t", "ReadOnly": False}],
                "Configs": [{"ConfigName": "c-1", "File": {"Name": "/etc/c", "UID": "1", "GID": "1", "Mode": 292}}],
                **container,
            },
            "Resources": {"Limits": {"MemoryBytes": 64, "Pids": 9}},
            "Networks": [{"Target": "sse-network", "Aliases": ["a"]}],
        },
        "UpdateConfig": {"Order": "start-first", "MaxFailureRatio": 0},
        "EndpointSpec": {"Mode": "dnsrr", "Ports": []},
    }


def service(
    asked: dict[str, Any] | None = None, name: str = "sse-a", *, pinned: bool = False, together: str = ""
) -> SwarmService:
    return SwarmService(name, "app", pinned, together, 0, 0, asked or request(), {}, [], [])


def shown(asked: dict[str, Any]) -> dict[str, Any]:
    """What an engine makes of a request: ids, what it fills in, and nothing that is empty or false."""
    made = copy.deepcopy(asked)
    task = made["TaskTemplate"]
    task["Networks"][0]["Target"] = "id-of-net"
    task["ContainerSpec"]["Isolation"] = "default"
    task["ForceUpdate"] = 0
    task["Placement"] = {"Platforms": [{"Architecture": "amd64", "OS": "linux"}]}
    for one in task["ContainerSpec"]["Mounts"]:
        one.pop("ReadOnly", None)
    task["ContainerSpec"].pop("Init", None)
    for one in task["ContainerSpec"].get("Configs", []):
        one["ConfigID"] = "id"
    made["EndpointSpec"].pop("Ports", None)
    return made


def observed(
    asked: dict[str, Any] | None = None, made_by: SwarmService | None = None, **changes: Any
) -> ObservedService:
    labels = {"stack": "sse", "project": "p", "release": "1", "spec": (made_by or service(asked)).fingerprint}
    given: dict[str, Any] = {
        "labels": {LABEL + key: value for key, value in labels.items()},
        "wanted": 2,
        "running": {"n1": 1, "n2": 1},
        "waits": [],
        "update": "",
        "message": "",
        **changes,
    }
    return ObservedService("sse-a", "id-a", request=shown(asked or request()), **given)


def scaled(count: int) -> dict[str, Any]:
    return {**request(), "Mode": {"Replicated": {"Replicas": count}}}


OLD_CONFIG = [{"ConfigName": "c-0", "File": {"Name": "/etc/c", "UID": "1", "GID": "1", "Mode": 292}}]
BY_HAND = {"made_by": service()}
MOUNTS: list[dict[str, Any]] = request()["TaskTemplate"]["ContainerSpec"]["Mounts"]
EXTRA: dict[str, Any] = {"Type": "bind", "Source": "/x", "Target": "/x"}


@pytest.mark.parametrize(
    ("runs", "kind", "reasons"),
    [
        ([], "create", ["missing"]),
        ([observed()], "keep", []),
        ([observed(request(Image="i:0"))], "replace", ["Image: i:0 -> i:1"]),
        ([observed(request(Image="i:0"), **BY_HAND)], "replace", ["Image: i:0 -> i:1 (changed by hand)"]),
        ([observed(request(Env=["A=0", "B=x=y"]))], "replace", ["environment.A: 0 -> 1"]),
        ([observed(request(Env=["A=1", "B=x=y", "C=3"]))], "replace", ["environment.C: 3 -> absent"]),
        ([observed(request(Configs=OLD_CONFIG))], "replace", ["config /etc/c: content"]),
        ([observed(request(Configs=[]))], "replace", ["config /etc/c: absent -> present"]),
        ([observed(request(Groups=["9"]))], "replace", ['Groups: ["9"] -> absent']),
        ([observed(request(Mounts=[EXTRA, *MOUNTS]))], "replace", ["mount /x: present -> absent"]),
        ([observed(request(Mounts=[]))], "replace", ["mount /t: absent -> present"]),
        ([observed(request(Mounts=[{**MOUNTS[0], "Source": "/o"}]))], "replace", ["mount /t.Source: /o -> /s"]),
        ([observed(scaled(5))], "mend", ["Mode.Replicated.Replicas: 5 -> 2"]),
        ([observed(scaled(0), **BY_HAND)], "mend", ["Mode.Replicated.Replicas: 0 -> 2 (changed by hand)"]),
        ([observed({**request(), "Mode": {"Global": {}}})], "replace", ["Mode: Global -> Replicated"]),
        ([observed({**request(), "EndpointSpec": {"Mode": "vip"}})], "replace", ["EndpointSpec.Mode: vip -> dnsrr"]),
        ([observed(made_by=service(scaled(9)))], "mend", ["its labels do not match its release"]),
        ([observed(update="paused", message="task failed")], "replace", ["its last update stopped (task failed)"]),
        ([observed(update="rollback_completed", message="m")], "keep", []),
        (
            [observed(request(Image="i:0"), update="rollback_completed", message="m")],
            "replace",
            ["its last update was rolled back (m)", "Image: i:0 -> i:1"],
        ),
    ],
)  # fmt: skip
def test_each_state_leads_to_its_action_with_reasons(
    runs: list[ObservedService], kind: str, reasons: list[str]
) -> None:
    [action] = swarm_plan([service()], runs, "sse", "p", NETWORKS)
    assert (action.kind, action.reasons) == (kind, reasons)


def test_the_order_in_which_the_docker_command_writes_mounts_back_is_no_difference() -> None:
    two = service(request(Mounts=[EXTRA, *MOUNTS]))
    [action] = swarm_plan([two], [observed(request(Mounts=[*MOUNTS, EXTRA]), two)], "sse", "p", NETWORKS)
    assert action.kind == "keep"


@pytest.mark.parametrize(
    ("changes", "health"),
    [({}, "healthy"), ({"running": {"n1": 1}}, "starting"), ({"waits": ["no suitable node"]}, "starting")],
)
def test_a_service_that_is_kept_says_whether_all_of_it_runs(changes: dict[str, Any], health: str) -> None:
    [action] = swarm_plan([service()], [observed(**changes)], "sse", "p", NETWORKS)
    assert (action.kind, action.health) == ("keep", health)


@pytest.mark.parametrize(
    ("running", "home", "kind", "reasons"),
    [
        ({"n1": 1}, Home("b", "n1"), "keep", []),
        ({"n1": 1}, Home("c", "n2"), "replace", ["moves to c: the replicas are unequally spread"]),
        ({"n1": 1}, Home("c", "n2", "b"), "replace", ["moves to c: b gets no tasks"]),
        ({}, Home("c", "n2"), "keep", []),
        ({"n1": 1}, None, "keep", []),
    ],
)
def test_a_replica_that_is_not_at_home_moves(
    running: dict[str, int], home: Home | None, kind: str, reasons: list[str]
) -> None:
    homes = {"sse-a": home} if home else {}
    [action] = swarm_plan([service()], [observed(running=running)], "sse", "p", NETWORKS, homes)
    assert (action.kind, action.reasons) == (kind, reasons)


def test_what_an_earlier_run_held_to_its_node_is_set_free_without_new_tasks() -> None:
    held = observed()
    shown_constraints = {"Placement": {"Constraints": ["node.id == n1"]}}
    held = held._replace(
        request={**held.request, "TaskTemplate": {**held.request["TaskTemplate"], **shown_constraints}}
    )
    [action] = swarm_plan([service()], [held], "sse", "p", NETWORKS)
    assert (action.kind, action.reasons) == ("mend", ["no other host may run it: an earlier run ended too soon"])


def test_what_is_no_longer_declared_goes_first_and_others_stay() -> None:
    theirs = observed(labels={LABEL + "stack": "other", LABEL + "project": "p"})._replace(name="theirs")
    gone = observed()._replace(name="sse-gone")
    actions = swarm_plan([service()], [theirs, gone], "sse", "p", NETWORKS)
    assert [(one.kind, one.container) for one in actions] == [("remove", "sse-gone"), ("create", "sse-a")]


def test_a_service_of_somebody_else_with_our_name_is_refused() -> None:
    with pytest.raises(ForeignContainerError, match="service sse-a of the Swarm exists and is not of stack 'sse'"):
        swarm_plan([service()], [observed(labels={})], "sse", "p", NETWORKS)


# --- which node carries what


def node(host: str, role: str = "worker", **labels: str) -> NodeFact:
    own = {f"sse.platform.{key.replace('_', '.')}": value for key, value in labels.items()}
    return {
        "id": f"id-{host}",
        "name": host,
        "role": role,
        "availability": "active",
        "state": "ready",
        "address": "192.0.2.1",
        "engine": "26.1.5",
        "labels": own | {"theirs": "x"},
        "leader": False,
        "reachable": True,
    }


HOSTS: Any = {"managers": ["a"], "edge": ["a", "b"], "app": ["a", "b", "c"], "data": ["b", "c"]}


def nodes(**others: NodeFact) -> dict[str, NodeFact]:
    return {host: node(host) for host in "abc"} | others


def data(*names: str) -> list[SwarmService]:
    return [service(name=name, pinned=True) for name in names]


def test_data_spread_over_their_hosts_and_stay_where_they_are() -> None:
    assert holders([service(), *data("k1", "k2", "k3")], HOSTS, nodes()) == {"k1": "b", "k2": "c", "k3": "b"}
    kept = nodes(c=node("c", holds_k1="true"))
    assert holders(data("k1", "k2"), HOSTS, kept) == {"k1": "c", "k2": "b"}


@pytest.mark.parametrize(
    ("found", "hosts", "said"),
    [
        (nodes(a=node("a", holds_k1="true")), HOSTS, "a holds the data of k1 and is not in the group data any more"),
        (nodes(b=node("b", holds_k1="true"), c=node("c", holds_k1="true")), HOSTS, "b and c are both labelled"),
        (nodes(), {"app": ["a"]}, "k1 has data, and the group data has no host"),
    ],
)
def test_data_without_one_host_are_refused(found: dict[str, NodeFact], hosts: Any, said: str) -> None:
    with pytest.raises(PlacementError, match=said):
        holders(data("k1"), hosts, found)


def brokers(count: int) -> list[SwarmService]:
    return [service(name=f"k{number}", pinned=True, together="k") for number in range(1, count + 1)]


def test_replicas_with_data_are_on_hosts_of_their_own() -> None:
    hosts: Any = {"data": ["a", "b", "c"]}
    assert holders([*data("r"), *brokers(3)], hosts, nodes()) == {"r": "a", "k1": "b", "k2": "c", "k3": "a"}
    kept = nodes(b=node("b", holds_k3="true"))
    assert holders(brokers(3), hosts, kept) == {"k3": "b", "k1": "a", "k2": "c"}
    with pytest.raises(PlacementError, match=r"k1, k2, k3 keep copies .* has 2 hosts; expected 3, one for each"):
        holders(brokers(3), HOSTS, nodes())


def test_a_host_that_does_not_answer_is_known_by_its_name() -> None:
    swarm: Any = {"nodes": [{**node("a"), "address": "192.0.2.1"}, {**node("b"), "address": "192.0.2.2"}]}
    shown_hosts = {"one": {"address": "192.0.2.1"}}
    assert {host: found["id"] for host, found in by_host(swarm, shown_hosts).items()} == {"one": "id-a"}
    found = by_host(swarm, shown_hosts, {"b", "c"})
    assert {host: one["id"] for host, one in found.items()} == {"one": "id-a", "b": "id-b"}
    assert by_host(None, shown_hosts, {"b"}) == {}


def test_each_node_gets_its_role_and_its_labels_and_keeps_those_of_others() -> None:
    stale = node("c", role="manager", group_sse_edge="true", group_sse_app="true", group_two_edge="true")
    found = {one.host: one for one in steps("sse", HOSTS, {"k1": "c"}, nodes(c=stale))}
    assert found["a"].role == "manager"
    assert found["c"].role == "worker"
    assert set(found["c"].labels) == {
        "sse.platform.group.sse.every",
        *("sse.platform.group.sse.app", "sse.platform.group.sse.data", "sse.platform.holds.k1"),
        *("sse.platform.group.two.edge", "theirs"),
    }
    assert "no label sse.platform.group.sse.edge" in found["c"].reasons
    after = {host: {**node(host), "role": one.role, "labels": one.labels} for host, one in found.items()}
    assert not list(steps("sse", HOSTS, {"k1": "c"}, after))  # type: ignore[arg-type]


def test_a_manager_decides_until_another_one_does_in_its_place() -> None:
    hosts: Any = {"managers": ["a", "c"], "edge": ["b"]}
    there = {host: node(host, role="worker" if host == "c" else "manager") for host in "bac"}
    assert [(one.host, one.role) for one in steps("sse", hosts, {}, there)][1:] == [("c", "manager"), ("b", "worker")]


# --- where replicas run


def replicas(count: int) -> list[SwarmService]:
    asked = {**request(), "Mode": {"Replicated": {"Replicas": 1}}}
    return [service(asked, f"r-{number}", together="s") for number in range(1, count + 1)]


def spread_of(count: int, hosts: str, now: str, **others: NodeFact) -> str:
    """Where each replica is to run, a letter each; ``now`` says where it does, and a dot that it does not."""
    runs = {
        f"r-{number}": observed(running={f"id-{host}": 1} if host != "." else {}) for number, host in enumerate(now, 1)
    }
    known = {host: node(host) for host in "abcd"} | others
    found = homes(replicas(count), {"app": list(hosts)}, known, runs)
    return "".join(found.get(f"r-{number}", ".") for number in range(1, count + 1))


@pytest.mark.parametrize(
    ("count", "hosts", "now", "then"),
    [
        (3, "abc", "", "abc"),
        (4, "abc", "", "abca"),
        (2, "abc", "", "ab"),
        (3, "a", "", "aaa"),
        (3, "abc", "cab", "cab"),  # spread already, in whatever order
        (3, "abc", "aba", "abc"),  # the host of the third came back
        (6, "abc", "aabbab", "aabbcc"),
        (6, "abcd", "aabbcc", "aabbcd"),  # a host more: one move is enough
        (5, "abc", "aabbb", "aabbc"),
        (4, "ab", "abcc", "abab"),  # a host less
        (3, "abc", "a.c", "abc"),
        (4, "abc", "abc", "abca"),  # one replica more
    ],
)
def test_replicas_are_spread_with_as_few_moves_as_possible(count: int, hosts: str, now: str, then: str) -> None:
    found = spread_of(count, hosts, now)
    assert found == then
    assert spread_of(count, hosts, found) == found


@pytest.mark.parametrize("changes", [{"state": "down"}, {"availability": "drain"}, {"availability": "pause"}])
def test_a_host_that_takes_no_tasks_gets_none(changes: dict[str, str]) -> None:
    assert spread_of(3, "abc", "", b={**node("b"), **changes}) == "aca"  # type: ignore[typeddict-item]


def test_without_a_swarm_nothing_has_a_home() -> None:
    assert homes(replicas(2), {"app": ["a"]}, {}, {}) == {}


def test_what_is_alone_fills_the_hosts_that_have_less_and_is_never_moved() -> None:
    alone = [service(name=name) for name in ("x", "y")]
    known = {host: node(host) for host in "ab"}
    assert homes([*alone, *replicas(3)], {"app": ["a", "b"]}, known, {}) == {
        "r-1": "a",
        "r-2": "b",
        "r-3": "a",
        "x": "b",
        "y": "a",
    }
    crowded = {name: observed(running={"id-a": 1}) for name in ("x", "y")}
    assert homes(alone, {"app": ["a", "b"]}, known, crowded) == {"x": "a", "y": "a"}


def test_data_and_what_every_host_runs_have_no_home() -> None:
    every = service({**request(), "Mode": {"Global": {}}}, "e")
    assert homes([every, *data("k")], {"app": ["a"], "data": ["a"]}, nodes(), {}) == {}


def test_a_request_at_home_is_the_same_but_for_its_node() -> None:
    asked = {**request(), "TaskTemplate": {"Placement": {"Constraints": ["x"]}}}
    held = at_home(asked, "n1")
    assert held["TaskTemplate"]["Placement"]["Constraints"] == ["x", "node.id == n1"]
    assert asked["TaskTemplate"]["Placement"]["Constraints"] == ["x"]


def test_who_carries_a_service_follows_from_its_group_or_its_data() -> None:
    assert carried(service(), HOSTS, {}) == ["a", "b", "c"]
    assert carried(service(name="k", pinned=True), HOSTS, {"k": "b"}) == ["b"]
