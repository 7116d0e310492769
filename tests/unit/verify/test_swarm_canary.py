"""A canary of a cluster is judged by the same expressions, through a container of the manager that asks."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import unasked
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify import one_replica, swarm_canary
from ansible_collections.sse.platform.plugins.module_utils.verify.canary import CanaryError
from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_canary import Overlay, SwarmCanary


def one(service: str, short: str, **more: Any) -> dict[str, Any]:
    return {"service": service, "container": short, "rolling": False, "data": {}, **more}


RELEASE: Any = {
    "containers": {
        "s-a-1": one("a", "a-1", rolling=True),
        "s-a-2": one("a", "a-2", rolling=True),
        "s-k-1": one("k", "k-1", rolling=True, data={"/d": "d"}),
        "s-prom": one("prom", "prom", data={"/d": "d"}),
    },
    "checks": [{"kind": "scraped", "containers": ["prom"], "parameters": {"port": 9090}}],
}
ASKED: Any = {
    "watches": [{"service": "a", "name": "gaps", "expr": 'x{i="$instance"}', "above": 0, "below": None}],
    "setting": [],
    "metrics": [{"targets": ["a-1:80", "a-2:80"]}],
}


class Engine:
    """An engine with some containers, of which one has ended."""

    def inspect(self, identity: str) -> Any:
        if identity == "gone":
            raise EngineError("no such container")
        return {"State": {"Pid": os.getpid()}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let two containers run, and note what Prometheus is asked, which answers with a value."""
    found: list[str] = []
    monkeypatch.setattr(node_told, "running", lambda *_: iter([("s-x", "gone"), ("s-a-2", "there")]))
    monkeypatch.setattr(namespace, "ask", lambda name: [f"address of {name}"])

    def answer(endpoint: Endpoint, *_: Any, **__: Any) -> Answer:
        found.append(endpoint.host)
        return Answer(200, '{"data": {"resultType": "vector", "result": [{"value": [0, "0"]}]}}')

    monkeypatch.setattr(swarm_canary, "request", answer)
    return found


def canary(releases: Any = (RELEASE,), **changes: Any) -> SwarmCanary:
    return SwarmCanary({**ASKED, **changes}, 1, Overlay(Engine, "s"), releases, "/state")  # type: ignore[arg-type]


def test_prometheus_is_asked_by_its_name_from_a_container_that_runs_here(asked: list[str]) -> None:
    canary().refuse_now([RELEASE], {"s-a-1", "s-k-1", "s-prom"})
    assert asked == ["address of s-prom"]


def test_what_keeps_copies_needs_no_expression_and_a_replica_needs_one(asked: list[str]) -> None:
    with pytest.raises(CanaryError, match="a declares no expression"):
        canary(watches=[]).refuse_now([RELEASE], {"s-a-1", "s-k-1", "s-prom"})
    canary(watches=[]).refuse_now([RELEASE], {"s-k-1", "s-prom"})
    assert asked == []


def test_without_a_prometheus_that_runs_nobody_could_judge(asked: list[str]) -> None:
    with pytest.raises(CanaryError, match="no Prometheus runs in this stack"):
        canary().refuse_now([RELEASE], {"s-a-1"})
    canary().refuse_now([], set())  # nothing runs yet, so nothing is replaced
    assert asked == []


def test_a_manager_without_a_container_of_the_stack_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_told, "running", lambda *_: iter([]))
    with pytest.raises(CanaryError, match="gaps of a: no container of the stack runs on this manager"):
        canary().refuse_now([RELEASE], {"s-a-1", "s-prom"})


def test_an_event_goes_through_the_canary_before_it_is_watched(
    asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    how: Any = SimpleNamespace()
    monkeypatch.setattr(one_replica, "declared", lambda *_: [("a-1", {"port": 80, "key": None, "how": how})])
    monkeypatch.setattr(one_replica, "send", lambda _, there, directory: sent.append((there, directory)))
    canary().watch("s-a-1", RELEASE["containers"]["s-a-1"], unasked)
    assert sent == [(Endpoint("s-a-1", "address of s-a-1", 80), "/state")]
    assert asked
    monkeypatch.setattr(namespace, "ask", refused)
    with pytest.raises(CanaryError, match="s-a-1: no event goes through it: s-a-1: no such name"):
        canary().watch("s-a-1", RELEASE["containers"]["s-a-1"], unasked)


def test_a_first_run_comes_before_an_engine_and_later_one_that_is_silent_is_told() -> None:
    def none() -> Any:
        raise EngineError("no engine answers")

    first = SwarmCanary(ASKED, 1, Overlay(none, "s"), [RELEASE], "/state")
    first.refuse_now([], set())
    with pytest.raises(CanaryError, match=r"gaps of a: .*no engine answers"):
        first.refuse_now([RELEASE], {"s-a-1", "s-prom"})
    # An expression without a value ends a watch as one that is bad does: the earlier replica comes back.
    assert first.answer(Endpoint("s-prom", "s-prom", 9090), "/") == Answer(0, "no engine answers")


def refused(_: str) -> list[str]:
    raise OSError("no such name")
