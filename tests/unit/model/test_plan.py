"""The plan as a table: what should run, what runs, what follows."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import (
    BY_HAND,
    INTERRUPTED,
    LABEL,
    Observed,
)
from ansible_collections.sse.platform.plugins.module_utils.model.plan import (
    Action,
    ForeignContainerError,
    plan,
    settling,
)

OLD = {"environment": {"A": "1"}, "image": "x", "after": []}
NEW = {"environment": {"A": "2"}, "image": "x", "after": []}


def release(containers: dict[str, Any], number: int = 2) -> Any:
    return {"stack": "sse", "project": "p", "containers": containers, "number": number}


def observed(name: str = "sse-a", container: dict[str, Any] = NEW, **changes: Any) -> Observed:
    labels = {"stack": "sse", "project": "p", "release": "1", "spec": spec.fingerprint(container)}
    given: dict[str, Any] = {"labels": labels, "status": "running", "health": "healthy", **changes}
    return Observed(name, f"id-{name}", {LABEL + key: value for key, value in given.pop("labels").items()}, **given)


MADE_FROM: Any = {"sse-a": OLD}


@pytest.mark.parametrize(
    ("runs", "kind", "reasons"),
    [
        ([], "create", ["missing"]),
        ([observed()], "keep", []),
        ([observed(container=OLD)], "replace", ["environment.A: 1 -> 2"]),
        ([observed(status="exited", health="")], "start", ["is exited"]),
        ([observed(status="paused")], "start", ["is paused"]),
        ([observed(health="unhealthy")], "restart", ["is unhealthy"]),
        ([observed(health="starting")], "keep", []),
        ([observed(container=OLD, status="exited")], "replace", ["environment.A: 1 -> 2"]),
    ],
)
def test_each_state_leads_to_its_action_with_reasons(runs: list[Observed], kind: str, reasons: list[str]) -> None:
    [action] = plan(release({"sse-a": NEW}), MADE_FROM, runs)
    assert (action.kind, action.reasons) == (kind, reasons)


FILES: Any = {
    **OLD,
    "config": {"/etc": {"a": "1\n"}},
    "secrets": {"/run": {"k": {}}},
    "fingerprints": {"k": "1"},
    "stop_timeout": 10,
    "reload": {"check": ["c"], "signal": "SIGHUP", "says": "done", "old_processes": None},
}


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"config": {"/etc": {"a": "2\n"}}}, "reload"),
        ({"config": {"/etc": {"a": "1\n", "b": "more"}}}, "reload"),
        ({"fingerprints": {"k": "2"}, "stop_timeout": 2}, "reload"),
        ({"config": {"/etc": {"a": "2\n"}}, "reaches_host": [8080]}, "reload"),
        ({"config": {"/etc": {"a": "2\n"}}, "reload": None}, "replace"),
        ({"config": {"/etc": {"a": "2\n"}}, "image": "y"}, "replace"),
        ({"config": {"/etc": {"a": "1\n"}, "/more": {"a": "1"}}}, "replace"),
        ({"secrets": {}}, "replace"),
        ({"memory": 1}, "replace"),
    ],
)
def test_only_what_the_program_reads_anew_is_reloaded(changes: dict[str, Any], kind: str) -> None:
    made_from: Any = {"sse-a": FILES}
    [action] = plan(release({"sse-a": {**FILES, **changes}}), made_from, [observed(container=FILES)])
    assert (action.kind, bool(action.reasons)) == (kind, True)


@pytest.mark.parametrize("state", [{"status": "exited"}, {"status": "paused"}, {"health": "unhealthy"}])
def test_what_does_not_work_is_replaced_and_not_reloaded(state: dict[str, Any]) -> None:
    made_from: Any = {"sse-a": FILES}
    wanted: Any = {"sse-a": {**FILES, "stop_timeout": 2}}
    assert [one.kind for one in plan(release(wanted), made_from, [observed(container=FILES, **state)])] == ["replace"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"config": {"/etc": {"a": "1"}, "/taken": {"b": "2"}}}, "reload"),
        ({"fingerprints": {"own": "1", "user": "2"}}, "reload"),
        ({"secrets": {"/own": {"x": {"secret": "own"}}, "/users": {"y": {"secret": "user", "format": "f"}}}}, "reload"),
        ({"config": {"/etc": {"a": "2"}, "/taken": {"b": "1"}}}, "replace"),
        ({"fingerprints": {"own": "2", "user": "1"}}, "replace"),
    ],
)
def test_a_program_makes_only_the_files_count_that_it_takes(changes: dict[str, Any], kind: str) -> None:
    told = {
        "config": {"/etc": {"a": "1"}, "/taken": {"b": "1"}},
        "secrets": {"/own": {"x": {"secret": "own"}}, "/users": {"y": {"secret": "user"}}},
        "fingerprints": {"own": "1", "user": "1"},
        "reload": {"check": [], "program": "print()", "takes": ["/taken", "/users"]},
    }
    [action] = plan(release({"sse-a": {**told, **changes}}), {"sse-a": told}, [observed(container=told)])  # type: ignore[dict-item]
    assert action.kind == kind


def test_a_reload_that_was_interrupted_is_done_again() -> None:
    one = observed(container=FILES)
    one = one._replace(labels={**one.labels, f"{LABEL}spec": INTERRUPTED})
    [action] = plan(release({"sse-a": FILES}), {"sse-a": FILES}, [one])
    assert (action.kind, action.reasons) == ("reload", ["its last reload was interrupted"])


def test_what_somebody_made_by_hand_is_replaced_and_not_reloaded() -> None:
    labels = {"stack": "sse", "project": "p", "release": "1", "spec": BY_HAND}
    for status in ("running", "exited"):
        [action] = plan(release({"sse-a": FILES}), {"sse-a": FILES}, [observed(labels=labels, status=status)])
        assert action.kind == "replace"
        assert action.reasons == ["was made by hand, with the labels of the one that a run made"]


def test_what_is_no_longer_declared_goes_and_others_containers_are_not_looked_at() -> None:
    foreign = observed("somebodys", labels={"stack": "other", "project": "p"})
    actions = plan(release({}), MADE_FROM, [observed("sse-gone"), foreign])
    assert [(one.kind, one.container) for one in actions] == [("remove", "sse-gone")]


@pytest.mark.parametrize("labels", [{}, {"stack": "other", "project": "p"}, {"stack": "sse", "project": "other"}])
def test_a_foreign_container_of_our_name_is_refused(labels: dict[str, str]) -> None:
    with pytest.raises(ForeignContainerError, match="container sse-a exists and is not of stack 'sse'"):
        plan(release({"sse-a": NEW}), MADE_FROM, [observed(labels=labels)])


def test_a_lost_release_file_is_said_instead_of_guessed() -> None:
    [action] = plan(release({"sse-a": NEW}), {}, [observed(container=OLD)])
    assert action.reasons == ["its release 1 is no longer on the host, so it can't be compared"]


def test_a_change_of_relations_alone_replaces_nothing() -> None:
    [action] = plan(release({"sse-a": {**OLD, "after": ["sse-b"]}}), MADE_FROM, [observed(container=OLD)])
    assert not action.changes


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["sse-a", "sse-a-next"], [("clear", "sse-a-next")]),
        (["sse-a-previous", "sse-a-next"], [("restore", "sse-a"), ("clear", "sse-a-next")]),
        (["sse-a", "sse-a-previous"], [("clear", "sse-a-previous")]),
        (["sse-a", "sse-a-trial"], [("clear", "sse-a-trial")]),
        (["sse-a"], []),
    ],
)
def test_what_a_killed_run_left_is_undone(names: list[str], expected: list[tuple[str, str]]) -> None:
    actions = settling([observed(name) for name in names], release({"sse-a": NEW}), {})
    assert [(one.kind, one.container) for one in actions] == expected


def called(**names: str) -> list[Observed]:
    """Return containers by what they are called now; `a_hand` is one that somebody made with the labels of `a`."""
    return [
        Observed(
            f"sse-{name}",
            own,
            {f"{LABEL}{key}": value for key, value in {**OURS, "container": own.partition("_")[0]}.items()},
            "running",
            "healthy",
        )
        for own, name in names.items()
    ]


OURS = {"stack": "sse", "project": "p", "spec": "0"}


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        (called(a="a", b="b"), []),
        (called(a="foo", b="b"), ["rename sse-a"]),
        (called(a="a-next", b="b"), ["restore sse-a"]),
        (called(a="b-previous", b="b"), ["rename sse-a"]),
        (called(a="foo", b="a"), ["rename sse-b", "rename sse-a"]),  # one after the other
        (called(a="b", b="a"), ["rename sse-a-previous", "rename sse-b", "rename sse-a"]),  # in a circle
        (called(a="b", b="c", c="a"), ["rename sse-a-previous", "rename sse-b", "rename sse-c", "rename sse-a"]),
        (called(a="foo", a_hand="a"), ["clear sse-a", "rename sse-a"]),
        (called(a="a", a_hand="foo"), []),  # the plan removes it
        (called(a_hand="foo"), []),
        (called(b="foo", x="b"), []),  # somebody else has its name
        (called(a="b", b="foo", x="a"), []),
    ],
)
def test_a_container_that_somebody_renamed_gets_its_name_back(runs: list[Observed], expected: list[str]) -> None:
    known = {f"sse-{name}": {name} for name in "abc"}
    actions = settling(runs, release(dict.fromkeys(known, NEW)), known)
    assert [f"{one.kind} {one.container}" for one in actions] == expected
    names = {one.id: one.name for one in runs}
    for action in actions:  # never two of one name
        names = {id_: name for id_, name in names.items() if action.kind != "clear" or id_ != action.id}
        names |= {action.id: action.container} if action.kind != "clear" else {}
        assert len(set(names.values())) == len(names)


def test_a_renamed_container_of_which_nothing_is_written_down_gets_its_name_back() -> None:
    [action] = settling(called(a="foo"), release({"sse-a": NEW}), {})
    assert (action.kind, action.container, action.reasons) == ("rename", "sse-a", ["is called sse-foo"])


def test_only_keeping_changes_nothing() -> None:
    kinds = ("keep", "create", "replace", "start", "restart", "remove", "restore", "rename", "clear")
    assert [kind for kind in kinds if not Action(kind, "a", []).changes] == ["keep"]
