"""The plan over the services of a Swarm as a table: what should run, what is shown, what follows."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import PlacementError, holders, steps
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


def service(asked: dict[str, Any] | None = None, name: str = "sse-a", *, pinned: bool = False) -> SwarmService:
    return SwarmService(name, [name], "app", pinned, asked or request(), {}, [], [])


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


@pytest.mark.parametrize(
    ("changes", "health"),
    [({}, "healthy"), ({"running": {"n1": 1}}, "starting"), ({"waits": ["no suitable node"]}, "starting")],
)
def test_a_service_that_is_kept_says_whether_all_of_it_runs(changes: dict[str, Any], health: str) -> None:
    [action] = swarm_plan([service()], [observed(**changes)], "sse", "p", NETWORKS)
    assert (action.kind, action.health) == ("keep", health)


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


def test_each_node_gets_its_role_and_its_labels_and_keeps_those_of_others() -> None:
    stale = node("c", role="manager", group_sse_edge="true", group_sse_app="true", group_two_edge="true")
    found = {one.host: one for one in steps("sse", HOSTS, {"k1": "c"}, nodes(c=stale))}
    assert found["a"].role == "manager"
    assert found["c"].role == "worker"
    assert set(found["c"].labels) == {
        *("sse.platform.group.sse.app", "sse.platform.group.sse.data", "sse.platform.holds.k1"),
        *("sse.platform.group.two.edge", "theirs"),
    }
    assert "no label sse.platform.group.sse.edge" in found["c"].reasons
    after = {host: {**node(host), "role": one.role, "labels": one.labels} for host, one in found.items()}
    assert not list(steps("sse", HOSTS, {"k1": "c"}, after))  # type: ignore[arg-type]
