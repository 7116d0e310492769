"""A key that was rotated must be refused by every replica that takes events by it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify import old_keys

CHECK = {
    "kind": "deliveries",
    "containers": ["one"],
    "parameters": {"key": {"name": "verify", "secret": "proof"}, "port": 8000, "publish": "/events"},
}
STREAM = {"kind": "unix-socket", "containers": ["one"], "parameters": {"key": {"name": "verify", "secret": "proof"}}}


def running() -> Any:
    replica = SimpleNamespace(endpoint=lambda port: Endpoint("one", "10.0.0.1", port))
    return SimpleNamespace(releases=[{"checks": [CHECK, STREAM]}, {}], named=lambda names: [replica for _ in names])


def test_a_replica_is_asked_by_the_old_key_until_it_refuses_it(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [422, 401]
    asked: list[str] = []

    def request(endpoint: Endpoint, *_: object, **__: object) -> Answer:
        asked.append(endpoint.key)
        return Answer(answers.pop(0), "", "")

    monkeypatch.setattr(old_keys, "request", request)
    assert old_keys.refused(running(), "proof", "old") == ["one: the old key is refused"]
    assert asked == ["verify.old", "verify.old"]
    assert old_keys.refused(running(), "another", "old") == []


def test_a_replica_that_still_accepts_the_old_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(old_keys, "SECONDS", 0.0)
    monkeypatch.setattr(old_keys, "request", lambda *_, **__: Answer(422, "", ""))
    with pytest.raises(ValueError, match="one does not refuse the old key"):
        old_keys.refused(running(), "proof", "old")


def test_each_replica_of_a_host_of_a_cluster_is_asked_from_within_its_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    containers = {"sse-one": {"container": "one"}, "sse-other": {"container": "other"}}
    release: Any = {"stack": "sse", "containers": containers, "checks": [CHECK, STREAM]}
    engine: Any = SimpleNamespace(inspect=lambda identity: {"State": {"Pid": int(identity)}})
    tasks = [("sse-one", "7"), ("sse-other", "8")]
    monkeypatch.setattr(old_keys.node_told, "running", lambda _, stack: tasks if stack == "sse" else [])
    monkeypatch.setattr(old_keys, "ask", lambda one, path, key: f"{one.name}: {one.url}{path} refuses {key}")

    def inside(pid: int, work: Any) -> str:
        asked.append(pid)
        return work()

    monkeypatch.setattr(old_keys, "inside", inside)
    said = old_keys.refused_in_tasks(engine, [release], {"proof": "old", "another": "x"})
    assert said == ["sse-one: http://127.0.0.1:8000/events refuses verify.old"]
    assert asked == [7]
    assert old_keys.refused_in_tasks(engine, [release], {"another": "x"}) == []
