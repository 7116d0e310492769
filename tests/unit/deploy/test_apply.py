"""How a plan is carried out: the order, and what stops it. The engine itself is for the integration tests."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import Applier, ApplyError, Pace
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind


def applier(containers: dict[str, Any], pace: Pace | None = None) -> Applier:
    defaults = {"after": [], "rolling": False, "service": "s"}
    specs: Any = {name: {**defaults, **one} for name, one in containers.items()}
    nothing = cast("Any", None)
    return Applier(nothing, nothing, specs, pace=pace)


def replicas(**kinds: ActionKind) -> dict[str, Action]:
    return {name: Action(kind, name, []) for name, kind in kinds.items()}


def order(containers: dict[str, Any], wanted: dict[str, Action]) -> dict[str, set[str]]:
    found = applier(containers)
    return found.in_rows(wanted, found.needed(wanted))


ROLLING: dict[str, Any] = {name: {"rolling": True, "service": "app"} for name in ("a1", "a2", "a3")}


def test_replaced_replicas_wait_for_each_other() -> None:
    after = order(ROLLING, replicas(a1="replace", a2="replace", a3="replace"))
    assert after == {"a1": set(), "a2": {"a1"}, "a3": {"a2"}}


def test_a_replica_that_is_down_comes_up_before_another_goes_down() -> None:
    after = order(ROLLING, replicas(a1="replace", a2="start", a3="keep"))
    assert after == {"a1": {"a2"}, "a2": set(), "a3": set()}


def test_a_replica_that_is_down_and_needs_another_one_waits_for_that_all_the_same() -> None:
    found = {**ROLLING, "a3": {**ROLLING["a3"], "after": ["b"]}, "b": {"after": ["a1"]}}
    after = order(found, replicas(a1="replace", a2="replace", a3="create", b="keep"))
    assert after == {"a1": set(), "a2": {"a3"}, "a3": {"b", "a1"}, "b": {"a1"}}


def test_a_proxy_reloads_after_the_replicas_that_its_new_files_name_unless_they_wait_for_it() -> None:
    reaches = [{"to": "a3:80", "why": "x"}, {"to": "b:80", "why": "x"}]
    containers = {
        **{name: {**one, "container": name} for name, one in ROLLING.items()},
        "b": {"container": "b", "after": ["c"]},
        "c": {"container": "c", "after": ["proxy"]},
        "proxy": {"container": "proxy", "reaches": reaches},
    }
    after = order(containers, replicas(a3="create", b="create", proxy="reload"))
    assert after == {"a3": set(), "b": set(), "proxy": {"a3"}}


class Signalled:
    """An engine that keeps which container got which signal."""

    def __init__(self, *running: str) -> None:
        self.running = running
        self.sent: list[tuple[str, str]] = []

    def inspect(self, name: str) -> dict[str, Any]:
        if name not in self.running:
            raise EngineError(f"no {name}")
        return {"State": {"Pid": os.getpid()}}

    def signal(self, name: str, sent: str) -> None:
        self.sent.append((name, sent))


def test_streams_behind_a_proxy_get_a_bye_from_each_container_that_runs_and_knows_the_signal() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *__: None)
    engine = Signalled("s-a", "s-b")
    specs = cast("Any", {name: {"container": name[2:]} for name in ("s-a", "s-b", "s-c", "s-proxy")})
    one = Applier(cast("Any", engine), cast("Any", None), specs)
    one.farewell(cast("Any", {"farewell": {"a": "SIGUSR1", "b": "SIGUSR2", "c": "SIGUSR1"}}))
    signal.signal(signal.SIGUSR1, before)
    assert engine.sent == [("s-a", "SIGUSR1")]


def test_as_many_replicas_are_replaced_together_as_the_setting_says_and_the_canary_alone() -> None:
    four = {**ROLLING, "a4": ROLLING["a1"]}
    actions = replicas(a1="replace", a2="replace", a3="replace", a4="replace")
    two = applier(four, Pace(at_once=2))
    assert two.in_rows(actions, two.needed(actions)) == {"a1": set(), "a2": set(), "a3": {"a1"}, "a4": {"a2"}}
    assert two.canaries == set()
    watched = applier(four, Pace(at_once=2, canary=lambda *_: None))
    found = watched.in_rows(actions, watched.needed(actions))
    assert found == {"a1": set(), "a2": {"a1"}, "a3": {"a1"}, "a4": {"a1", "a2"}}
    assert watched.canaries == {"a1"}


def test_no_step_begins_after_the_gate_is_closed_and_a_last_step_asks_once_more() -> None:
    done: list[str] = []
    asked = iter([None, ApplyError("aborted by ana")])

    def gate() -> None:
        if error := next(asked):
            raise error

    for steps in (["a", "b"], ["c"]):
        asked = iter([None, ApplyError("aborted by ana")])
        with pytest.raises(ApplyError, match="aborted by ana"):
            applier({}, Pace(gate=gate)).graph(
                {name: (lambda name=name: done.append(name)) for name in steps}, {"b": {"a"}}, parallel=1
            )
    assert done == ["a", "c"]


def test_new_replicas_start_together() -> None:
    after = order(ROLLING, replicas(a1="create", a2="create", a3="create"))
    assert after == {"a1": set(), "a2": set(), "a3": set()}


def test_a_step_starts_only_when_what_it_waits_for_is_done() -> None:
    done: list[str] = []
    steps = {name: (lambda name=name: done.append(name)) for name in "cba"}
    applier({}).graph(steps, {"b": {"a"}, "c": {"b"}}, parallel=3)
    assert done == ["a", "b", "c"]


def test_independent_steps_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)
    applier({}).graph({"a": lambda: void(both.wait()), "b": lambda: void(both.wait())}, {}, parallel=2)


def void(_: object) -> None:
    """Drop a value."""


def test_after_a_failure_nothing_new_starts_and_every_failure_is_named() -> None:
    done: list[str] = []

    def fail() -> None:
        raise ApplyError("a: broken")

    with pytest.raises(ApplyError, match="a: broken"):
        applier({}).graph({"a": fail, "b": lambda: done.append("b")}, {"b": {"a"}}, parallel=2)
    assert done == []


def test_containers_that_wait_for_each_other_are_named_instead_of_waited_for() -> None:
    steps = {"a": lambda: None, "b": lambda: None}
    with pytest.raises(ApplyError, match="these containers wait for each other: a, b"):
        applier({}).graph(steps, {"a": {"b"}, "b": {"a"}}, parallel=2)


class Ending:
    """An engine whose container runs at the first look, ends before it can be asked, and has ended at the next."""

    def __init__(self) -> None:
        self.states = iter([(True, 0), (True, 0), (False, 3), (False, 3)])

    def inspect(self, _: str) -> dict[str, Any]:
        running, code = next(self.states)
        return {"RestartCount": 0, "State": {"Running": running, "ExitCode": code}}

    def execute(self, *_: object) -> tuple[int, str]:
        raise EngineError("the container is restarting")

    def last_lines(self, *_: object) -> list[str]:
        return ["starting", "nonsense"]


def test_a_container_that_ends_while_it_is_asked_is_told_by_its_end_and_its_last_line() -> None:
    check = {"command": ["true"], "http": None, "start": 10, "timeout": 5}
    one = Applier(cast("Any", Ending()), cast("Any", None), cast("Any", {"a": {"healthcheck": check}}))
    with pytest.raises(ApplyError, match=r"a: stopped while starting \(exit code 3\): nonsense"):
        one.wait_until_healthy("id", "a", patient=True)
