"""A whole run on a manager, with a Swarm that a stand-in plays: labels, overlay, services, release and history."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import AbortedError, Control
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_nodes import Asked, Drain, Removal
from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_rollout import SwarmReport
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts
from ansible_collections.sse.platform.tests.unit.deploy.played_swarm import FULL, GROUPS, Stand, container, release


@pytest.fixture
def stand(tmp_path: Path) -> Stand:
    return Stand(tmp_path / "state")


def test_a_first_run_makes_everything_and_a_second_one_changes_nothing(stand: Stand) -> None:
    done = stand.run(FULL).changes
    assert done[-2:] == ["+ sse-a (new)", "+ sse-k (new)"]
    assert "+ network sse-network" in done
    assert stand.swarm.labels["b"] == {
        "sse.platform.group.sse.app": "true",
        "sse.platform.group.sse.data": "true",
        "sse.platform.group.sse.every": "true",
        "sse.platform.holds.sse-k": "true",
    }
    assert stand.numbers() == [(1, "applied")]
    assert stand.run(FULL).changes == []
    assert stand.numbers() == [(1, "applied")]


def test_who_had_data_is_forgotten_where_they_are_deleted(stand: Stand) -> None:
    stand.run(FULL)
    stand.swarm.labels["b"] |= {"sse.platform.holds.sse-k-2": "true", "sse.platform.holds.other-k": "true"}
    stand.swarm.labels["b"] |= {"sse.platform.holds.sse-k-other": "true"}  # of a stack that is called sse-k
    report = SwarmReport()
    stand.rollout(FULL, check=True).forget(report)
    assert report.changes == ["~ node b: no label sse.platform.holds.sse-k, no label sse.platform.holds.sse-k-2"]
    assert "sse.platform.holds.sse-k" in stand.swarm.labels["b"]
    again = SwarmReport()
    stand.rollout(FULL).forget(again)
    assert again.changes == report.changes
    theirs = ["sse.platform.holds.other-k", "sse.platform.holds.sse-k-other"]
    assert [one for one in stand.swarm.labels["b"] if ".holds." in one] == theirs
    assert "sse.platform.group.sse.data" in stand.swarm.labels["b"]
    last = SwarmReport()
    stand.rollout(FULL).forget(last)
    assert last.changes == []


def test_check_mode_says_the_same_and_touches_nothing(stand: Stand) -> None:
    told = stand.run(FULL, check=True).changes
    assert not Path(stand.directory).exists()
    assert (stand.swarm.shown, stand.swarm.made, stand.engine.made) == ({}, {}, [])
    assert told == stand.run(FULL).changes


def test_check_mode_works_before_there_is_a_swarm_or_an_engine(stand: Stand) -> None:
    stand.swarm.manager = False
    assert "+ sse-a (new)" in stand.run(FULL, check=True).changes

    def nobody() -> Any:
        raise OSError("no engine")

    stand.swarm.local = nobody  # type: ignore[method-assign]
    assert "+ sse-a (new)" in stand.run(FULL, check=True).changes
    with pytest.raises(OSError, match="no engine"):
        stand.run(FULL)


def test_a_host_that_is_no_manager_is_refused(stand: Stand) -> None:
    stand.swarm.manager = False
    with pytest.raises(ApplyError, match="This host is no manager of a Swarm"):
        stand.run(FULL)


def test_a_change_is_a_release_and_objects_that_nobody_needs_go(stand: Stand) -> None:
    stand.run(FULL)
    stand.swarm.used.clear()
    changed = release(container("a", config={"/etc": {"x": "2"}}), FULL["containers"]["sse-k"])
    done = stand.run(changed).changes
    assert any(one.startswith("~ sse-a: config /etc/x: content; ") for one in done)
    assert stand.numbers() == [(1, "applied"), (2, "applied")]
    assert b"1" not in stand.swarm.made.values()
    assert b"2" in stand.swarm.made.values()


def test_a_failed_update_is_told_with_what_was_done_and_kept_in_the_history(stand: Stand) -> None:
    stand.run(FULL)
    stand.swarm.fails = "sse-a"
    changed = release(container("a", image="i:2"), container("k", data={"/d": "d"}, image="i:2"))
    report = SwarmReport()
    with pytest.raises(ApplyError, match="sse-a: the Swarm went back") as failed:
        stand.rollout(changed).run(report)
    assert stand.numbers() == [(1, "applied"), (2, "failed")]
    last = attempts(stand.directory)[-1]
    assert (last["outcome"], last["who"]) == ("failed", "me")
    assert last["error"].startswith("sse-a: the Swarm went back")
    assert report.failure(failed.value).startswith("sse-a: the Swarm went back")
    assert "~ sse-a" not in report.failure(failed.value)  # it was not kept


def test_each_host_is_told_only_the_directories_of_what_it_may_run(stand: Stand) -> None:
    files, specs = stand.rollout(FULL).files()
    assert specs == {"a": {}, "b": {}}
    assert [[one["path"].removeprefix(stand.directory) for one in files[host]] for host in ("a", "b")] == [
        ["/files/sse-a/live-0"],
        ["/files/sse-a/live-0", "/data/sse-k/d"],
    ]
    [secret] = files["a"][0]["files"].values()
    assert len(secret) >= 24
    assert stand.rollout(FULL).files() == (files, specs)  # it is made once


def test_a_secret_is_an_object_whose_name_changes_with_its_value(stand: Stand) -> None:
    stand.run(FULL)
    before = {name for kind, name in stand.swarm.made if kind == "secrets"}
    (Path(stand.directory) / "secrets/pw").write_text("another")
    done = stand.run(FULL).changes
    assert "~ sse-k: secret /run/s/key: content" in done
    assert {name for kind, name in stand.swarm.made if kind == "secrets"} - before
    assert "another" not in json.dumps(done)


def test_replicas_are_spread_over_the_hosts_and_stay_there_when_they_change(stand: Stand) -> None:
    def replicas(image: str) -> Any:
        return release(*[container(f"r-{number}", rolling=True, image=image) for number in (1, 2, 3)])

    stand.run(replicas("i:1"))
    where = {name: list(one.running) for name, one in stand.swarm.shown.items()}
    assert where == {"sse-r-1": ["a"], "sse-r-2": ["b"], "sse-r-3": ["a"]}
    asked = [one.request["TaskTemplate"]["Placement"]["Constraints"] for one in stand.swarm.shown.values()]
    assert asked == [["node.labels.sse.platform.group.sse.app == true"]] * 3  # any host may take them now
    assert stand.run(replicas("i:1")).changes == []
    stand.run(replicas("i:2"))
    assert {name: list(one.running) for name, one in stand.swarm.shown.items()} == where
    crowded = stand.swarm.shown["sse-r-2"]._replace(running={"a": 1})  # its host was lost for a while
    stand.swarm.shown["sse-r-2"] = crowded
    [moved] = stand.run(replicas("i:2")).changes
    assert moved.startswith("~ sse-r-")
    assert "moves to b: the replicas are unequally spread" in moved


PROGRAM = {"program": "p", "takes": ["/run/s"]}
WAVES = release(
    container("a"),
    container("k", reload=PROGRAM, data={"/d": "d"}, secrets={"/run/s": {"key": {"secret": "pw"}}}),
)
WAVES["containers"]["sse-a"]["after"] = ["sse-k"]


def test_a_run_of_several_waves_is_one_release_and_one_line_of_the_history(stand: Stand) -> None:
    first = stand.run(WAVES, wave=0)
    assert first.changes[-1] == "+ sse-k (new)"
    assert list(stand.swarm.shown) == ["sse-k"]
    assert stand.numbers() == [(1, "applying")]
    second = stand.run(WAVES, wave=1, begun=first.attempt)
    assert second.changes == ["+ sse-a (new)"]
    assert stand.numbers() == [(1, "applied")]
    [line] = attempts(stand.directory)
    assert (line["outcome"], [one["container"] for one in line["changes"]]) == ("applied", ["sse-k", "sse-a"])
    again = stand.run(WAVES, wave=0)
    assert (again.changes, stand.run(WAVES, wave=1, begun=again.attempt).changes) == ([], [])


def on(*networks: str) -> Any:
    """FULL, where both services are on other networks."""
    made = {
        name: {"name": name, "subnet": f"10.99.{number}.0/24", "gateway": "", "segment": "app"}
        for number, name in enumerate(networks, 1)
    }
    containers = {name: {**one, "networks": dict.fromkeys(networks, "")} for name, one in FULL["containers"].items()}
    return {**FULL, "networks": made, "containers": containers}


def joined(stand: Stand) -> dict[str, list[str]]:
    return {
        name: [one["Target"] for one in shown.request["TaskTemplate"]["Networks"]]
        for name, shown in stand.swarm.shown.items()
    }


def test_services_that_join_other_networks_are_on_both_until_all_are(stand: Stand) -> None:
    assert not stand.rollout(FULL).moves()
    stand.run(FULL)
    assert not stand.rollout(FULL).moves()
    segments = on("sse-app", "sse-data")
    assert stand.rollout(segments).moves()
    assert any(one.startswith("~ networks: ") for one in stand.run(segments, check=True).changes)
    stand.run(segments, bridges=True)
    bridged = stand.run(segments, bridges=True)  # as one that was killed begins again
    assert set(map(tuple, joined(stand).values())) == {("sse-app", "sse-data", "sse-network")}
    assert bridged.changes == []
    assert not stand.rollout(segments).moves()
    assert stand.numbers()[-1] == (2, "applying")
    done = stand.run(segments, begun=bridged.attempt).changes
    assert done[-1] == "- network sse-network"
    assert set(map(tuple, joined(stand).values())) == {("sse-app", "sse-data")}
    assert stand.numbers()[-1] == (2, "applied")
    assert stand.run(segments).changes == []
    assert stand.rollout(FULL).moves()


def test_a_service_that_leaves_a_network_needs_no_bridge(stand: Stand) -> None:
    stand.run(on("sse-app", "sse-data"))
    assert not stand.rollout(on("sse-app")).moves()


def test_the_waves_of_check_mode_tell_together_what_one_run_would_do(stand: Stand) -> None:
    told = [line for wave in (0, 1) for line in stand.run(WAVES, wave=wave, check=True).changes]
    assert sorted(told) == sorted(stand.run(WAVES, check=True).changes)


def test_a_preview_says_nothing_while_another_run_works(stand: Stand) -> None:
    stand.run(FULL)
    with run_lock.locked(stand.directory, {"asked": "up", "who": "ann", "where": "laptop"}):
        with pytest.raises(ApplyError, match=r"Another run changes this stack: \./sse up of ann on laptop"):
            stand.run(FULL, check=True)
        with pytest.raises(ApplyError, match="Another run changes this stack"):
            stand.rollout(FULL, check=True).files()
    assert stand.run(FULL, check=True).changes == []


def test_a_host_gets_the_specs_of_what_reads_files_anew_there(stand: Stand) -> None:
    files, specs = stand.rollout(WAVES).files()
    assert {host: list(found) for host, found in specs.items()} == {"a": [], "b": ["sse-k"]}
    assert "/files/sse-k/now/secrets-0" in [one["path"].removeprefix(stand.directory) for one in files["b"]]


def test_replicas_with_data_are_made_in_one_wave_and_changed_in_one_each(stand: Stand) -> None:
    def pair(image: str) -> Any:
        own: Any = {"reload": PROGRAM, "data": {"/d": "d"}, "secrets": {"/run/s": {"key": {"secret": "pw"}}}}
        return release(*[container(f"k-{number}", rolling=True, image=image, **own) for number in (1, 2)])

    stand.groups = {**GROUPS, "data": ["a", "b"]}
    stand.run(pair("i:1"), wave=0)
    assert list(stand.swarm.shown) == ["sse-k-1", "sse-k-2"]
    assert stand.run(pair("i:1"), wave=1).changes == []
    changed = [stand.run(pair("i:2"), wave=wave).changes for wave in (0, 1)]
    assert [[line.split(":")[0] for line in one] for one in changed] == [["~ sse-k-1"], ["~ sse-k-2"]]


def test_one_of_several_copies_is_not_replaced_while_another_one_lacks_something(stand: Stand) -> None:
    def three(image: str, *others: Any) -> Any:
        own: Any = {"reload": PROGRAM, "data": {"/d": "d"}, "secrets": {"/run/s": {"key": {"secret": "pw"}}}}
        copies = [container(f"k-{number}", rolling=True, image=image, **own) for number in (1, 2, 3)]
        return release(*copies, *others)

    stand.groups = {**GROUPS, "data": ["a", "b", "c"]}
    in_sync = {"sse-k-1": "", "sse-k-2": "", "sse-k-3": ""}
    stand.run(three("i:1"), behind={})  # nothing is there yet that could be lacking
    before = dict(stand.swarm.shown)
    late = {**in_sync, "sse-k-3": "partition 0 of events is not in sync here"}
    for check in (True, False):
        with pytest.raises(ApplyError, match=r"sse-k-1 would be away .*Image.*, and of those .* sse-k-3 lacks .* 0 of"):
            stand.run(three("i:2"), behind=late, wave=0, check=check)
    assert stand.swarm.shown == before
    other = container("other")
    assert stand.run(three("i:1", other), behind=late).changes == ["+ sse-other (new)"]
    stand.run(three("i:2", other), behind={**in_sync, "sse-k-1": "it is away"}, wave=0)  # the very one that is mended
    stand.swarm.shown["sse-k-1"] = stand.swarm.shown["sse-k-1"]._replace(running={})
    with pytest.raises(ApplyError, match="sse-k-1 does not run"):  # a release that never gets healthy
        stand.run(three("i:2", other), behind=in_sync, wave=1)
    assert stand.swarm.shown["sse-k-2"].request == before["sse-k-2"].request


def test_a_canary_that_is_not_good_is_told_and_nothing_of_it_was_changed(stand: Stand) -> None:
    def replicas(image: str) -> Any:
        return release(*[container(f"r-{number}", rolling=True, image=image) for number in (1, 2)])

    def watch(name: str, *_: Any) -> None:
        raise ApplyError(f"{name}: the canary is not good: gaps is 3")

    stand.run(replicas("i:1"))
    report = SwarmReport()
    with pytest.raises(ApplyError, match="gaps is 3") as failed:
        stand.rollout(replicas("i:2"), canary=watch).run(report)
    assert "kept" not in report.failure(failed.value)
    assert stand.numbers() == [(1, "applied"), (2, "failed")]
    assert attempts(stand.directory)[-1]["error"] == "sse-r-1: the canary is not good: gaps is 3"


def aborting(stand: Stand, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """Have an operator abort the rollout once so many services have changed."""
    asked = stand.swarm.change
    changed: list[str] = []

    def gate(_: Any) -> None:
        if len(changed) >= after:
            raise AbortedError("The rollout was aborted by ana.")

    def change(name: str, request: Any, **how: Any) -> None:
        changed.append(name)
        asked(name, request, **how)

    monkeypatch.setattr(stand.swarm, "change", change)
    monkeypatch.setattr(Control, "gate", gate)


def test_an_aborted_rollout_goes_back_for_what_it_changed_and_for_nothing_else(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(image: str) -> Any:
        return release(container("a", image=image), container("b", image=image), container("c"))

    stand.run(both("i:1"))
    before = {name: one.request for name, one in stand.swarm.shown.items()}
    by_hand = stand.swarm.shown["sse-c"].request | {"Labels": {**before["sse-c"]["Labels"], "sse.platform.spec": "x"}}
    stand.swarm.shown["sse-c"] = stand.swarm.shown["sse-c"]._replace(request=by_hand, labels=by_hand["Labels"])
    aborting(stand, monkeypatch, 1)
    report = SwarmReport()
    with pytest.raises(AbortedError):
        stand.rollout(both("i:2")).run(report)
    assert stand.numbers() == [(1, "applied"), (2, "failed")]
    assert report.attempt
    assert [one["container"] for one in report.attempt["changes"]] == ["sse-a"]
    why = "The rollout was aborted by ana."
    back = stand.run(both("i:1"), begun=report.attempt, aborted=why)
    assert back.back == ["sse-a is back as release 1 has it"]
    assert stand.swarm.shown["sse-a"].request == before["sse-a"]
    assert stand.swarm.shown["sse-c"].request == by_hand
    assert stand.numbers() == [(1, "applied"), (2, "failed")]
    [*_, line] = attempts(stand.directory)
    assert (line["outcome"], line["error"]) == ("failed", why)


def encrypted(wanted: Any) -> Any:
    networks = {name: {**one, "encrypted": True} for name, one in wanted["networks"].items()}
    return {**wanted, "networks": networks}


def test_an_abort_before_an_overlay_is_made_anew_ends_nothing(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    stand.run(FULL)
    before = dict(stand.swarm.shown)
    aborting(stand, monkeypatch, 0)
    with pytest.raises(AbortedError):
        stand.run(encrypted(FULL), recreate=True)
    assert (stand.swarm.shown, stand.swarm.ending) == (before, {})
    assert "encrypted" not in stand.engine.made[-1]["Options"]


def test_an_abort_after_an_overlay_was_made_anew_brings_back_all_that_ended_for_it(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand.run(FULL)
    before = {name: one.request for name, one in stand.swarm.shown.items()}
    made: list[str] = []
    asked = stand.swarm.create

    def create(request: Any) -> None:
        made.append(request["Name"])
        asked(request)

    def gate(_: Any) -> None:
        if made:
            raise AbortedError("The rollout was aborted by ana.")

    monkeypatch.setattr(stand.swarm, "create", create)
    monkeypatch.setattr(Control, "gate", gate)
    report = SwarmReport()
    with pytest.raises(AbortedError):
        stand.rollout(encrypted(FULL), recreate=True).run(report)
    assert made == ["sse-a"]
    stand.run(FULL, recreate=True, begun=report.attempt, aborted="The rollout was aborted by ana.")
    assert "encrypted" not in stand.engine.made[-1]["Options"]
    assert {name: one.request["TaskTemplate"] for name, one in stand.swarm.shown.items()} == {
        name: one["TaskTemplate"] for name, one in before.items()
    }


# --- hosts that are drained, added again and removed

REPLICAS = release(
    *[container(f"r-{number}", rolling=True) for number in (1, 2, 3)],
    container("every", each_host=True),
    container("k", data={"/d": "d"}),
)
DATA_ON_A = {**GROUPS, "data": ["a"]}


def drain(stand: Stand, host: str, *, check: bool = False, wanted: Any = REPLICAS) -> SwarmReport:
    report, now = SwarmReport(), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    asked = Asked(host, clock=lambda: now[0], sleep=sleep)
    Drain(stand.request(wanted, check=check), asked, stand.swarm, stand.engine).run(report)  # type: ignore[arg-type]
    return report


def remove(stand: Stand, host: str, *, check: bool = False) -> list[str]:
    report, now = SwarmReport(), [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    asked = Asked(host, clock=lambda: now[0], sleep=sleep)
    Removal(stand.request(REPLICAS, check=check), asked, stand.swarm, stand.engine).run(report)  # type: ignore[arg-type]
    return report.changes


@pytest.fixture
def spread(stand: Stand) -> Stand:
    """Replicas on a, b and a, data on a, and something on each host."""
    stand.groups = DATA_ON_A
    stand.run(REPLICAS)
    stand.swarm.shown["sse-k"] = stand.swarm.shown["sse-k"]._replace(running={"a": 1})
    stand.swarm.shown["sse-every"] = stand.swarm.shown["sse-every"]._replace(running={"a": 1, "b": 1})
    return stand


DRAINED = [
    "~ node b: availability: active -> pause",
    "~ sse-r-2: moves to a: b gets no tasks",
    "~ node b: availability: pause -> drain",
    "- sse-every on b",
]


def test_a_drained_host_loses_its_replicas_first_and_then_the_rest(spread: Stand) -> None:
    before = dict(spread.swarm.shown)
    assert drain(spread, "b", check=True).changes == DRAINED
    assert (spread.swarm.shown, spread.swarm.available["b"]) == (before, "active")
    assert drain(spread, "b").changes == DRAINED
    assert spread.swarm.available == {"a": "active", "b": "drain"}
    assert spread.swarm.running_on("b") == []
    assert list(spread.swarm.shown["sse-r-2"].running) == ["a"]
    assert spread.numbers() == [(1, "applied")]  # no release of its own
    last = attempts(spread.directory)[-1]
    assert [one["container"] for one in last["changes"]] == ["sse-r-2"]
    assert last["others"] == [DRAINED[0], *DRAINED[2:]]
    assert drain(spread, "b").changes == []
    assert spread.swarm.available["b"] == "drain"


def test_up_leaves_a_drained_host_alone_and_adding_it_spreads_replicas_again(spread: Stand) -> None:
    drain(spread, "b")
    assert spread.run(REPLICAS).changes == []
    assert spread.swarm.available["b"] == "drain"
    told = spread.run(REPLICAS, availability={"b": "active"}, check=True).changes
    assert told == spread.run(REPLICAS, availability={"b": "active"}).changes
    assert told[0] == "~ node b: availability: drain -> active"
    [moved] = told[1:]
    assert moved.endswith(": moves to b: the replicas are unequally spread")
    assert len(spread.swarm.running_on("b")) == 1
    assert spread.run(REPLICAS, availability={"b": "active"}).changes == []


def test_a_host_that_is_needed_is_not_drained_and_nothing_changes(spread: Stand) -> None:
    with pytest.raises(
        ApplyError, match=r"a is not drained; nothing was changed.\n- a is one of 1 manager, .*\n- No o"
    ):
        drain(spread, "a")
    with pytest.raises(ApplyError, match=r"x is no node of the Swarm: expected one of a, b\."):
        drain(spread, "x")
    changed = {**REPLICAS, "containers": {**REPLICAS["containers"], "sse-new": container("new")}}
    with pytest.raises(ApplyError, match=r"Run \./sse up first. What differs:\n- sse-new: create, missing"):
        drain(spread, "b", wanted=changed)
    assert spread.swarm.available == {"a": "active", "b": "active"}


def test_a_drain_that_fails_says_what_the_host_is_now_and_goes_on_later(spread: Stand) -> None:
    spread.swarm.fails = "sse-r-2"
    with pytest.raises(
        ApplyError, match=r"sse-r-2: the Swarm went back(.|\n)*b gets no new tasks now. \./sse node drain b"
    ):
        drain(spread, "b")
    assert spread.swarm.available["b"] == "pause"
    spread.swarm.fails = ""
    spread.swarm.shown["sse-r-2"] = spread.swarm.shown["sse-r-2"]._replace(running={"b": 1}, update="")
    spread.swarm.stays.add("sse-every")
    with pytest.raises(ApplyError, match=r"sse-every on b did not end"):
        drain(spread, "b")
    spread.swarm.shown["sse-every"] = spread.swarm.shown["sse-every"]._replace(running={"a": 1})
    assert drain(spread, "b").changes == []


def test_a_host_is_forgotten_when_it_is_drained_and_has_left(spread: Stand) -> None:
    with pytest.raises(ApplyError, match=r"b is not removed; nothing was changed\.\n- b gets tasks"):
        remove(spread, "b", check=True)
    drain(spread, "b")
    assert remove(spread, "b", check=True) == ["- node b"]
    with pytest.raises(ApplyError, match="b has not left the Swarm"):
        remove(spread, "b")
    assert not spread.swarm.removed
    spread.swarm.gone.add("b")
    assert remove(spread, "b") == ["- node b"]
    assert spread.swarm.removed == ["b"]
    assert attempts(spread.directory)[-1]["others"] == ["- node b"]
    assert remove(spread, "b") == []
    with pytest.raises(ApplyError, match="x does not answer, and no node of the Swarm is called so"):
        remove(spread, "x")


def test_a_preview_takes_a_host_that_is_to_join_for_a_node(spread: Stand) -> None:
    spread.swarm.gone.add("b")
    spread.swarm.removed.append("b")
    spread.swarm.shown = {name: one._replace(running={"a": 1}) for name, one in spread.swarm.shown.items()}
    spread.swarm.labels["b"] = {}
    told = spread.run(REPLICAS, check=True).changes
    assert told[0] == "+ node b: joins the Swarm"
    spread.swarm.gone.clear()
    spread.swarm.removed.clear()
    assert told[1:] == spread.run(REPLICAS).changes
    assert told[-1].endswith(": moves to b: the replicas are unequally spread")


def test_what_waits_for_a_drained_host_with_its_data_is_left_alone_and_may_not_change(stand: Stand) -> None:
    stand.run(FULL)
    stand.swarm.available["b"] = "drain"
    stand.swarm.shown["sse-k"] = stand.swarm.shown["sse-k"]._replace(running={}, waits=["no suitable node"])
    stand.swarm.shown["sse-a"] = stand.swarm.shown["sse-a"]._replace(running={"a": 1})
    assert stand.run(FULL).changes == []
    changed = {**FULL, "containers": {**FULL["containers"], "sse-k": container("k", data={"/d": "d"}, image="i:2")}}
    for check in (True, False):
        with pytest.raises(
            ApplyError, match=r"sse-k would change, and b with the data is drained: run \./sse node add"
        ):
            stand.run(changed, check=check)


def test_nothing_ends_for_an_overlay_that_is_made_anew_where_the_run_would_be_refused(stand: Stand) -> None:
    stand.run(FULL)
    before = dict(stand.swarm.shown)
    stand.swarm.available["b"] = "drain"
    with pytest.raises(ApplyError, match=r"sse-k would change, and b with the data is drained"):
        stand.run(encrypted(FULL), recreate=True)
    assert (stand.swarm.shown, stand.swarm.ending) == (before, {})
    stand.swarm.available["b"] = "active"
    stand.swarm.shown["sse-new"] = stand.swarm.shown["sse-a"]._replace(name="sse-new", labels={})
    more = {**FULL["containers"], "sse-new": FULL["containers"]["sse-a"]}
    with pytest.raises(ForeignContainerError, match="service sse-new of the Swarm exists and is not of stack"):
        stand.run(encrypted({**FULL, "containers": more}), recreate=True)
    assert stand.swarm.ending == {}


def test_an_overlay_is_made_anew_with_everything_on_it_where_that_is_allowed(stand: Stand) -> None:
    stand.run(FULL)
    networks = {"sse-network": {**FULL["networks"]["sse-network"], "encrypted": True}}
    secured = {**FULL, "networks": networks}
    with pytest.raises(ApplyError, match=r"it is not encrypted -> it is.*network_recreate_allowed"):
        stand.run(secured)
    told = stand.run(secured, check=True, recreate=True).changes
    assert told[:2] == ["~ network sse-network: it is not encrypted -> it is", "- sse-a"]
    assert told[-2:] == ["+ sse-a (new)", "+ sse-k (new)"]
    assert "encrypted" not in stand.engine.made[-1]["Options"]
    done = stand.run(secured, recreate=True).changes
    assert [one for one in done if "secret" not in one] == [one for one in told if "secret" not in one]
    assert [one["Options"].get("encrypted") for one in stand.engine.networks()] == [""]
    assert stand.run(secured, recreate=True).changes == []
