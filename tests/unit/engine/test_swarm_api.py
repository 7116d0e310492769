"""The Swarm behind a socket: what it shows of nodes and services, and what it is asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine import swarm_api
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi

Stand = tuple[str, dict[str, Any]]
LABEL = "%7B%22label%22%3A%20%5B%22a%3Db%22%5D%7D"
NODE: dict[str, Any] = {
    "ID": "n1",
    "Version": {"Index": 7},
    "Spec": {"Labels": {"theirs": "x"}, "Role": "manager", "Availability": "active"},
    "Description": {"Hostname": "a", "Engine": {"EngineVersion": "26.1.5"}},
    "Status": {"State": "ready", "Addr": "192.0.2.1"},
    "ManagerStatus": {"Leader": True, "Reachability": "reachable", "Addr": "192.0.2.9:2377"},
}
SERVICE: Any = {
    "ID": "s1",
    "Version": {"Index": 3},
    "Spec": {"Name": "sse-a", "Mode": {"Replicated": {"Replicas": 2}}, "TaskTemplate": {"ForceUpdate": 4}},
}


def test_an_engine_outside_of_a_swarm_is_one(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers["/info"] = {"Swarm": {"LocalNodeState": "inactive"}}
    found = SwarmApi(path).local()
    assert (found["state"], found["manager"], found["nodes"], found["id"]) == ("inactive", False, [], "")


def test_a_manager_shows_the_nodes_and_a_worker_its_managers(engine_socket: Stand) -> None:
    path, answers = engine_socket
    local = {"LocalNodeState": "active", "NodeID": "n1", "RemoteManagers": [{"Addr": "192.0.2.9:2377"}]}
    answers["/info"] = {"Swarm": local}
    worker = SwarmApi(path).local()
    assert (worker["managers"], worker["nodes"]) == (["192.0.2.9:2377"], [])
    answers |= {"/info": {"Swarm": {**local, "ControlAvailable": True, "Cluster": {"ID": "c"}}}, "/nodes": [NODE]}
    manager = SwarmApi(path).local()
    assert (manager["id"], [one["name"] for one in manager["nodes"]]) == ("c", ["a"])


@pytest.mark.parametrize(
    ("changes", "address", "leader"),
    [
        ({}, "192.0.2.1", True),
        ({"Status": {"State": "ready", "Addr": "0.0.0.0"}}, "192.0.2.9", True),
        ({"Status": {"State": "ready", "Addr": "127.0.0.1"}}, "192.0.2.9", True),
        ({"Status": {"State": "down"}, "ManagerStatus": None}, "", False),
    ],
)
def test_a_node_has_the_address_by_which_others_reach_it(changes: Any, address: str, leader: bool) -> None:
    node: Any = {**NODE, **changes}
    found = swarm_api.node_fact(node)
    assert (found["address"], found["leader"]) == (address, leader)


def task(state: str, node: str = "n1", desired: str = "running", error: str = "", created: str = "1") -> Any:
    return {
        "ID": "t",
        "ServiceID": "s1",
        "CreatedAt": created,
        "DesiredState": desired,
        "NodeID": node,
        "Status": {"State": state, "Message": f"is {state}", "Err": error},
    }


@pytest.mark.parametrize(
    ("mode", "tasks", "wanted", "running", "waits", "complete"),
    [
        ("Replicated", [task("running"), task("running", "n2")], 2, {"n1": 1, "n2": 1}, [], True),
        ("Replicated", [task("running"), task("running")], 2, {"n1": 2}, [], True),
        ("Replicated", [task("running"), task("starting", "n2")], 2, {"n1": 1}, ["is starting"], False),
        (
            "Replicated",
            [task("running"), task("pending", error="no suitable node"), task("failed", desired="shutdown", error="1")],
            *(2, {"n1": 1}, ["no suitable node", "1"], False),
        ),
        (
            "Replicated",
            [task("rejected", "n1", "shutdown", "old", "1"), task("rejected", "n1", "shutdown", "new", "2")],
            *(2, {}, ["new"], False),
        ),
        ("Replicated", [task("shutdown", desired="shutdown")], 2, {}, [], False),
        ("Global", [task("running"), task("running", "n2")], 2, {"n1": 1, "n2": 1}, [], True),
        ("Global", [task("running"), task("preparing", "n2")], 2, {"n1": 1}, ["is preparing"], False),
        ("Global", [], 0, {}, [], False),
    ],
)  # fmt: skip
def test_a_service_is_what_its_tasks_are(
    mode: str, tasks: list[Any], wanted: int, running: dict[str, int], waits: list[str], complete: bool
) -> None:
    spec = {"Name": "sse-a", "Mode": {mode: {"Replicas": 2} if mode == "Replicated" else {}}}
    found = swarm_api.observed({"ID": "s1", "Version": {"Index": 1}, "Spec": spec}, tasks)
    assert (found.wanted, found.running, found.waits, found.complete) == (wanted, running, waits, complete)


@pytest.mark.parametrize(
    ("tasks", "ending"),
    [
        ([task("running"), task("running", desired="shutdown"), task("running", desired="shutdown")], 2),
        ([task("running"), task("shutdown", desired="shutdown"), task("failed", desired="shutdown")], 0),
        ([task("running", desired="remove"), task("starting", desired="remove")], 2),
        ([task("shutdown", desired="remove"), task("pending", desired="remove")], 0),
    ],
)
def test_a_task_that_is_to_end_and_runs_is_ending(tasks: list[Any], ending: int) -> None:
    assert swarm_api.observed(SERVICE, tasks).ending == ending


@pytest.mark.parametrize(
    ("tasks", "failure"),
    [
        ([task("failed", error="1", created="2"), task("failed", error="2", created="3")], "2"),
        ([task("failed", error="of the update before", created="1")], ""),
        ([task("complete", created="2")], "a task ended by itself, or was not healthy in time"),
        ([task("rejected", created="2")], "is rejected"),
        ([task("running", created="2")], ""),
    ],
)
def test_the_failure_of_a_service_is_that_of_its_last_update(tasks: list[Any], failure: str) -> None:
    service: Any = {**SERVICE, "UpdateStatus": {"State": "rollback_completed", "StartedAt": "2"}}
    assert swarm_api.observed(service, tasks).failure == failure


def test_services_are_shown_with_their_own_tasks_and_their_last_update(engine_socket: Stand) -> None:
    path, answers = engine_socket
    stopped = {**SERVICE, "UpdateStatus": {"State": "paused", "Message": "task failed"}}
    answers |= {"/services": [stopped], "/tasks": [task("running"), {**task("running"), "ServiceID": "other"}]}
    [found] = SwarmApi(path).services()
    assert (found.update, found.message, found.running) == ("paused", "task failed", {"n1": 1})


def test_what_has_not_ended_on_a_node_runs_there_whatever_is_wanted(engine_socket: Stand) -> None:
    path, answers = engine_socket
    ends, ended = task("running", desired="shutdown"), task("shutdown", desired="shutdown")
    answers |= {"/services": [SERVICE], "/tasks": [ended, task("running", "n2")]}
    assert SwarmApi(path).running_on("n1") == []
    answers["/tasks"] = [ends, ended]
    assert SwarmApi(path).running_on("n1") == [SERVICE["Spec"]["Name"]]


def test_a_change_is_of_the_version_that_was_read_and_forces_nothing(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers |= {"/services/s1": SERVICE, "/nodes/n1": NODE}
    api = SwarmApi(path)
    api.change("s1", {"Name": "sse-a", "TaskTemplate": {"Networks": []}})
    assert answers["/services/s1/update?version=3"]["TaskTemplate"] == {"Networks": [], "ForceUpdate": 4}
    api.change("s1", {"Name": "sse-a", "TaskTemplate": {}}, force=True)
    assert answers["/services/s1/update?version=3"]["TaskTemplate"] == {"ForceUpdate": 5}
    api.change_node("n1", "worker", {}, "drain")
    assert answers["/nodes/n1/update?version=7"]["Availability"] == "drain"
    api.change_node("n1", "worker", {"own": "true"})
    assert answers["/nodes/n1/update?version=7"] == {
        "Availability": "active",
        "Role": "worker",
        "Labels": {"own": "true"},
    }


class Noting:
    """A Swarm that notes something of a node so many times, each time between a question and the change."""

    def __init__(self, notes: int, spec: dict[str, Any]) -> None:
        self.notes, self.spec, self.version, self.changes = notes, spec, 7, list[dict[str, Any]]()

    def ask(self, method: str, path: str, body: Any = None) -> bytes:
        if method == "GET":
            found = {**NODE, "Version": {"Index": self.version}, "Spec": self.spec if self.changes else NODE["Spec"]}
            return json.dumps(found).encode()
        self.changes.append(body)
        if self.notes:
            self.notes -= 1
            self.version += 1
        if not path.endswith(f"version={self.version}"):
            raise RefusedError(path, 500, b'{"message":"rpc error: code = Unknown desc = update out of sequence"}')
        return b""


WORKER = {**NODE["Spec"], "Role": "worker"}


@pytest.mark.parametrize(("notes", "spec", "asked"), [(0, NODE["Spec"], 1), (2, NODE["Spec"], 3), (1, WORKER, 1)])
def test_a_change_that_comes_behind_a_note_of_the_swarm_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch, notes: int, spec: dict[str, Any], asked: int
) -> None:
    swarm = Noting(notes, spec)
    monkeypatch.setattr(SwarmApi, "_ask", swarm.ask)
    SwarmApi().change_node("n1", "worker", {"theirs": "x"})
    assert swarm.changes == [WORKER] * asked


@pytest.mark.parametrize(("notes", "spec"), [(9, NODE["Spec"]), (1, {**NODE["Spec"], "Availability": "drain"})])
def test_a_change_that_never_comes_first_or_behind_that_of_somebody_else_is_refused(
    monkeypatch: pytest.MonkeyPatch, notes: int, spec: dict[str, Any]
) -> None:
    swarm = Noting(notes, spec)
    monkeypatch.setattr(SwarmApi, "_ask", swarm.ask)
    with pytest.raises(RefusedError, match="out of sequence"):
        SwarmApi().change_node("n1", "worker", {"theirs": "x"})


def test_hosts_make_and_join_a_swarm_at_their_own_addresses(engine_socket: Stand) -> None:
    path, answers = engine_socket
    api = SwarmApi(path)
    api.init("192.0.2.1")
    api.join("192.0.2.2", ["192.0.2.1:2377"], "SWMTKN")
    made, joined = answers["/swarm/init"], answers["/swarm/join"]
    assert (made["AdvertiseAddr"], made["DataPathAddr"]) == ("192.0.2.1", "192.0.2.1")
    assert (joined["AdvertiseAddr"], joined["RemoteAddrs"]) == ("192.0.2.2", ["192.0.2.1:2377"])
    answers["/swarm"] = {"JoinTokens": {"Worker": "w", "Manager": "m"}}
    assert api.tokens() == ("w", "m")


def test_objects_are_found_by_label_made_and_removed(engine_socket: Stand) -> None:
    path, answers = engine_socket
    answers[f"/configs?filters={LABEL}"] = [{"ID": "c1", "Spec": {"Name": "x"}}]
    answers["/secrets/s1"] = {}
    api = SwarmApi(path)
    assert api.objects("configs", "a=b") == {"x": "c1"}
    assert api.make_object("secrets", "y", b"\0\xff", {"a": "b"}) == "made"
    assert answers["/secrets/create"] == {"Name": "y", "Labels": {"a": "b"}, "Data": "AP8="}
    api.remove_object("secrets", "s1")
    assert "/secrets/s1" not in answers


def test_what_a_rollback_needs_is_in_use(engine_socket: Stand) -> None:
    path, answers = engine_socket

    def spec(**container: Any) -> dict[str, Any]:
        return {"TaskTemplate": {"ContainerSpec": container}}

    new = {
        "Spec": spec(Configs=[{"ConfigName": "c2"}], Secrets=None),
        "PreviousSpec": spec(Secrets=[{"SecretName": "s1"}]),
    }
    answers["/services"] = [new, {"Spec": {}, "PreviousSpec": None}]
    assert SwarmApi(path).objects_in_use() == {"c2", "s1"}


def test_a_refusal_carries_the_engines_own_sentence(engine_socket: Stand) -> None:
    with pytest.raises(RefusedError) as caught:
        SwarmApi(engine_socket[0]).services()
    assert caught.value.status == 500
