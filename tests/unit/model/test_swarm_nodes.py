"""Which host of a cluster may be drained or removed, as tables: what a manager shows, and what is said against it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_nodes import (
    Draining,
    differing,
    drain_problems,
    removal_problems,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService

GROUPS: Any = {"managers": ["a", "b", "c"], "edge": ["a", "b"], "app": ["a", "b", "c", "d"], "data": ["a", "b", "c"]}


def node(host: str, **changes: Any) -> NodeFact:
    role = "manager" if host in GROUPS["managers"] else "worker"
    one: Any = {"id": f"id-{host}", "name": host, "role": role, "availability": "active", "state": "ready"}
    one |= {"address": "", "engine": "", "labels": {}, "leader": False, "reachable": True}
    return {**one, **changes}  # type: ignore[return-value]


def nodes(**changes: dict[str, Any]) -> dict[str, NodeFact]:
    return {host: node(host, **changes.get(host, {})) for host in "abcd"}


def service(name: str, together: str = "") -> SwarmService:
    return SwarmService(name, "data", True, together, 0, 0, {}, {}, [], [])


def runs(name: str, count: int = 1) -> ObservedService:
    return ObservedService(name, name, {}, {}, 1, {"n": count} if count else {}, [], "", "")


STANDS = runs("k1", 0)._replace(wanted=0, labels={"sse.platform.complete": "true"})
SERVICES = [service("redis"), service("k1", "k"), service("k2", "k"), service("k3", "k")]
IN_SYNC = {"k1": "", "k2": "", "k3": ""}
HELD = {"redis": "c", "k1": "a", "k2": "b", "k3": "c"}


def asked(host: str, *missing: str, **changes: Any) -> Draining:
    found = {one.name: runs(one.name, one.name not in missing) for one in SERVICES}
    return Draining(host, GROUPS, nodes(), SERVICES, HELD, found, behind=IN_SYNC)._replace(**changes)


DOWN: Any = {"state": "down", "reachable": False}
PAUSED: Any = {"availability": "pause"}
ONE_EDGE: Any = {**GROUPS, "edge": ["a"]}
TWO_MANAGERS = {host: node(host, role="manager" if host in "ad" else "worker") for host in "abcd"}
ONE_MANAGER = {host: node(host, role="manager" if host == "d" else "worker") for host in "abcd"}
DATA = "c holds the only copy of the data of redis: they would be away until it gets tasks again."


@pytest.mark.parametrize(
    ("draining", "said"),
    [
        (asked("d"), []),
        (asked("a"), []),  # a manager, an edge and a broker, whose peers work
        (asked("a", nodes=nodes(a=PAUSED)), []),  # an earlier run ended too soon
        (asked("a", nodes=nodes(a={"availability": "drain"})), []),
        (asked("x"), ["x is no node of the Swarm: expected one of a, b, c, d."]),
        (
            asked("a", nodes=nodes(b=DOWN)),
            ["a is one of 3 managers, and 1 would be left", "No other host of the group"],
        ),
        (asked("d", nodes=nodes(b=DOWN)), []),  # it decides nothing
        (asked("d", nodes=ONE_MANAGER), ["d is one of 1 manager, and 0 would be left when it is off"]),
        (asked("d", nodes=TWO_MANAGERS), ["d is one of 2 managers, and 1 would be left when it is off"]),
        (asked("a", groups=ONE_EDGE), ["No other host of the group edge gets tasks: without a the platform"]),
        (asked("a", nodes=nodes(b=PAUSED)), ["No other host of the group edge gets tasks"]),
        (asked("d", nodes=nodes(a=PAUSED, b=PAUSED, c=DOWN)), ["No other host of the group app gets tasks"]),
        (asked("c"), [DATA]),
        (asked("c", away=True), []),
        (asked("a", "k2"), ["a has a copy of the data of k1, and of the other copies k2 does not run"]),
        (asked("a", "k2", "k3", away=True), ["k2 does not run, and k3 does not run: expected all of them to run"]),
        (asked("a", behind={**IN_SYNC, "k3": "it is late"}), ["of the other copies k3 lacks something: it is late"]),
        (asked("a", behind={**IN_SYNC, "k1": "it is late"}), []),  # the one that would be away
        (asked("a", behind={}), ["k2 lacks something: nobody could ask it, and k3 lacks"]),
        (asked("a", "redis"), []),  # which is away by itself
    ],
)
def test_a_host_is_drained_only_where_the_others_can_do_without_it(draining: Draining, said: list[str]) -> None:
    found = drain_problems(draining)
    assert len(found) == len(said), found
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found


MOVE = Action("replace", "r", ["moves to b: a gets no tasks"])
SPREAD = Action("replace", "r", ["moves to b: the replicas are unequally spread"])


@pytest.mark.parametrize(
    ("around", "actions", "said"),
    [
        (["~ node a: availability: active -> pause"], [MOVE, SPREAD], []),
        (["~ node a: label x, availability: b -> c"], [], ["~ node a: label x, availability: b -> c"]),
        (["~ node b: availability: drain -> active"], [], ["~ node b: availability: drain -> active"]),
        (["+ network n"], [], ["+ network n"]),
        ([], [Action("replace", "r", ["Image: 1 -> 2", "moves to b"])], ["r: replace, Image: 1 -> 2; moves to b"]),
        ([], [Action("create", "r", ["missing"])], ["r: create, missing"]),
        ([], [Action("keep", "r", [], "", "healthy")], []),
        ([], [Action("keep", "r", [], "", "starting")], ["r does not run"]),
        ([], [Action("keep", "redis", [], "", "starting")], []),  # it waits for this very host
    ],
)  # fmt: skip
def test_a_drain_rolls_nothing_else_out(around: list[str], actions: list[Action], said: list[str]) -> None:
    assert differing("a", around, actions, {"redis": "a"}) == said


DRAINED: Any = {"availability": "drain"}
HOLDS: Any = {"labels": {"sse.platform.holds.redis": "true", "sse.platform.group.sse.app": "true"}, **DRAINED}
COPY: Any = {"labels": {"sse.platform.holds.k3": "true"}}
EARLIER: Any = {"labels": {f"sse.platform.holds.{name}": "true" for name in ("k4", "k5")}}
WIDER: Any = {**GROUPS, "data": ["a", "b", "d", "e"]}


@pytest.mark.parametrize(
    ("host", "changes", "running", "said"),
    [
        ("d", DRAINED, [], []),
        ("d", {"state": "down"}, ["x"], []),  # it has left, or is lost: what it ran is elsewhere
        ("d", {}, ["x"], ["d gets tasks: run ./sse node drain d first"]),
        ("d", DRAINED, ["x", "y"], ["x, y still run on d"]),
        ("a", DRAINED, [], ["a is a manager: name another host in its place in the group managers"]),
        ("d", {**DRAINED, "role": "manager"}, [], ["d is a manager"]),
        ("d", HOLDS, [], ["d has the only copy of the data of redis: while it is drained, copy their directories"]),
        ("d", {**DRAINED, **EARLIER}, [], ["of k4, k5, which no service of this stack is: of more copies"]),
        ("d", {**DRAINED, **COPY}, [], ["each other host of the group data has one, too: expected one more host"]),
    ],
)
def test_a_host_leaves_only_where_nothing_of_it_is_needed(
    host: str, changes: Any, running: list[str], said: list[str]
) -> None:
    groups = {**GROUPS, "data": ["a", "b", "d"]}
    found = removal_problems(asked(host, groups=groups, nodes=nodes(**{host: changes})), running)
    assert len(found) == len(said), found
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (asked("d"), []),
        (asked("d", behind={**IN_SYNC, "k3": "it is away"}), []),  # its own copy, which may be lost
        (
            asked("d", behind={**IN_SYNC, "k2": "it is late"}),
            ["and of the other copies k2 lacks something: it is late"],
        ),
        (asked("d", "k1"), ["and of the other copies k1 does not run"]),
        # A step to three ended when they had begun to decide: the first one has everything.
        (asked("d", "k1", "k2", observed={"k1": STANDS, "k2": runs("k2", 0)}), []),
        (asked("d", "k1", observed={"k1": runs("k1")}, behind={"k1": "it does not answer"}), []),  # k2 was never made
        (asked("d", observed={"k1": runs("k1")._replace(wanted=0), "k2": runs("k2"), "k3": runs("k3")}), ["k1 does"]),
    ],
)
@pytest.mark.parametrize("state", [DRAINED, DOWN])
def test_a_host_with_a_copy_leaves_where_the_others_have_all_and_one_more_host_can_take_it(
    state: Any, asked: Draining, said: list[str]
) -> None:
    found = removal_problems(asked._replace(groups=WIDER, nodes=nodes(d={**COPY, **state})), [])
    assert len(found) == len(said), found
    assert all(part in sentence for part, sentence in zip(said, found, strict=True)), found


def test_a_host_that_is_lost_while_only_the_first_one_has_copies_leaves_without_another_host() -> None:
    three: Any = {"nodes": nodes(d={**COPY, **DOWN}), "groups": {**GROUPS, "data": ["a", "b", "d"]}}
    assert removal_problems(asked("d", observed={"k1": STANDS}, **three), []) == []
    [said] = removal_problems(asked("d", **three), [])
    assert "expected one more host there" in said
