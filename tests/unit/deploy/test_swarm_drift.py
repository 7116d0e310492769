"""What differs in a Swarm from what was applied, as a table: what somebody did, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock, swarm_drift
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.model.drift_report import report
from ansible_collections.sse.platform.tests.unit.deploy.played_swarm import FULL, Stand, container, release

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    """A Swarm to which a release was applied."""
    stand = Stand(tmp_path / "state")
    stand.run(FULL)
    return stand


def drift(stand: Stand, **changes: Any) -> list[Finding]:
    request = stand.request(FULL, check=True, **changes)
    return swarm_drift.find(swarm_drift.Look(request, stand.swarm, stand.engine))  # type: ignore[arg-type]


def memory(stand: Stand) -> None:
    one = stand.swarm.shown["sse-a"]
    task = one.request["TaskTemplate"]
    changed = {**one.request, "TaskTemplate": {**task, "Resources": {"Limits": {"MemoryBytes": 1, "Pids": 256}}}}
    stand.swarm.shown["sse-a"] = one._replace(request=changed)


def gone(stand: Stand) -> None:
    del stand.swarm.shown["sse-k"]


def added(stand: Stand) -> None:
    stand.swarm.shown["sse-x"] = stand.swarm.shown["sse-a"]._replace(name="sse-x")


def label(stand: Stand) -> None:
    del stand.swarm.labels["b"]["sse.platform.group.sse.app"]


def network(stand: Stand) -> None:
    stand.engine.made.clear()


def mtu(stand: Stand) -> None:
    stand.engine.made[0]["Options"] = {swarm_drift.MTU: "9000"}


def encryption(stand: Stand) -> None:
    stand.engine.made[0]["Options"] = {**stand.engine.made[0]["Options"], "encrypted": ""}


def secret(stand: Stand) -> None:
    (Path(stand.directory) / "secrets/pw").unlink()


def emptied(stand: Stand) -> None:
    (Path(stand.directory) / "secrets/pw").write_text("")


def left(stand: Stand) -> None:
    stand.swarm.removed.append("b")


def failed(stand: Stand) -> None:
    stand.swarm.fails = "sse-a"
    with pytest.raises(ApplyError):
        stand.run(release(container("a", image="i:2"), FULL["containers"]["sse-k"]))


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (memory, ["~ sse-a: Resources.Limits.MemoryBytes: 1 -> 268435456 (changed by hand)"]),
        (gone, ["+ sse-k (new)"]),
        (added, ["- sse-x: no longer declared"]),
        (label, ["~ node b: label sse.platform.group.sse.app"]),
        (network, ["~ network sse-network: it is gone"]),
        (encryption, ["~ network sse-network: encrypted False -> True"]),
        (mtu, ["~ network sse-network: mtu 1450 -> 9000"]),
        (
            secret,
            ["~ secret pw: its file is missing, so it gets a new value", "~ sse-k: secret /run/s/key: content"],
        ),
        (emptied, ["~ secret sse: the secret STATE/secrets/pw is empty: somebody emptied it"]),
        (failed, ["~ sse-a: is of release 2, which was not applied as a whole: a run makes it as the settings say"]),
    ],
)
def test_what_somebody_did_is_told(stand: Stand, fault: Callable[[Stand], None], told: list[str]) -> None:
    assert drift(stand) == []
    fault(stand)
    found = drift(stand)
    lines = [line for line in report(found).splitlines()[1:] if not line.startswith("    ")]
    assert lines == [line.replace("STATE", stand.directory) for line in told]


def test_a_host_that_is_no_node_is_told(stand: Stand) -> None:
    left(stand)
    assert next((one.subject, one.wrong) for one in drift(stand)) == ("b", "it is no node of the Swarm")


def test_what_a_service_was_is_told_with_the_hosts_that_run_it(stand: Stand) -> None:
    memory(stand)
    [found] = drift(stand)
    assert found.evidence.endswith("; it runs on a") or found.evidence.endswith("; it runs on b")


def test_where_the_swarm_started_a_replica_is_no_drift(stand: Stand) -> None:
    stand.swarm.shown["sse-a"] = stand.swarm.shown["sse-a"]._replace(running={"a": 1})
    stand.swarm.available["b"] = "drain"
    assert drift(stand) == []


def test_a_look_changes_nothing(stand: Stand) -> None:
    secret(stand)
    before = sorted(path for path in Path(stand.directory).rglob("*") if path.name != "lock")
    drift(stand)
    assert sorted(path for path in Path(stand.directory).rglob("*") if path.name != "lock") == before


def test_what_another_run_has_half_done_is_no_drift(stand: Stand) -> None:
    with (
        run_lock.locked(stand.directory, {"asked": "up", "who": "ann", "where": "laptop"}),
        pytest.raises(ApplyError, match="Another run changes this stack"),
    ):
        drift(stand)


def test_a_host_that_knows_no_swarm_cannot_say(stand: Stand) -> None:
    stand.swarm.manager = False
    with pytest.raises(ApplyError, match="only a manager knows what runs"):
        drift(stand)


def test_without_a_secret_that_is_given_nobody_can_compare(stand: Stand) -> None:
    FULL["secrets"]["pw"]["kind"] = "given"
    try:
        with pytest.raises(ApplyError, match="Secret pw of s is not given"):
            drift(stand)
    finally:
        FULL["secrets"]["pw"]["kind"] = "password"
