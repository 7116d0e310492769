"""The action that mends a container: the smallest that does."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.presence import lost_mounts, told_anew, with_repairs
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.model import repair
from ansible_collections.sse.platform.plugins.module_utils.model.observed import Joined, Present
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action

if TYPE_CHECKING:
    from pathlib import Path

SPEC: Any = {
    "networks": {"n": "10.0.0.2"},
    "aliases": ["a"],
    "memory": 64,
    "pids": 9,
    "user": f"{os.getuid()}:{os.getgid()}",
    "config": {},
    "secrets": {},
    "live_secrets": {},
    "data": {"/data": "d"},
    "binds": {},
}
USUAL = Present({"n": Joined("id-n", "10.0.0.2", "", frozenset({"a"}))}, repair.limits(SPEC), {}, 1.0, frozenset())
DETACHED = {"networks": {}}


def action(tmp_path: Path, kind: Any, reasons: list[str], **changes: Any) -> Action:
    files = Files(str(tmp_path), Store(str(tmp_path), {}, {}))
    if not changes.pop("no_data", False):
        files.mounts("c", SPEC)
    one = Action(kind, "c", reasons, "id-c")
    return with_repairs(one, SPEC, USUAL._replace(**changes), {"n": "id-n"}, files)


@pytest.mark.parametrize(
    ("kind", "reasons", "changes", "mends"),
    [
        ("keep", [], {}, "keep"),
        ("keep", [], DETACHED, "mend"),
        ("start", ["is exited"], DETACHED, "start"),
        ("keep", [], {"unplugged": {"n": "its interface is gone"}}, "mend"),
        ("keep", [], {"misled": ("db",)}, "mend"),
        ("keep", [], {"unplugged": {"other": "its interface is gone"}}, "keep"),
        ("restart", ["is unhealthy"], {}, "restart"),
        ("restart", ["is unhealthy"], DETACHED, "mend"),
        ("restart", ["restarts again and again"], DETACHED, "restart"),
        ("keep", [], {"no_data": True}, "restart"),
        ("start", ["is exited"], {"no_data": True, "started": 0.0}, "start"),
        ("start", ["is paused"], {}, "start"),
        ("start", ["is paused"], DETACHED, "start"),
        ("start", ["is paused"], {"lost_mounts": frozenset({"/data"})}, "restart"),
        ("start", ["is paused"], {"no_data": True}, "restart"),
        ("keep", [], {"lost_mounts": frozenset({"/data"})}, "restart"),
        ("keep", [], {"extra_limits": {"NanoCpus": 1}}, "replace"),
        ("keep", [], {"stays_down": True}, "restart"),
        ("restart", ["is unhealthy"], {"stays_down": True}, "restart"),
    ],
)
def test_the_smallest_action_mends(
    tmp_path: Path, kind: str, reasons: list[str], changes: dict[str, Any], mends: str
) -> None:
    found = action(tmp_path, kind, reasons, **changes)
    assert found.kind == mends
    assert found.reasons[: len(reasons)] == reasons
    assert bool(found.repairs) == (found.reasons != reasons and mends != "replace")


def test_what_a_running_server_has_otherwise_is_told_to_it_anew_and_nobody_else_is_asked() -> None:
    kinds: list[Any] = ["keep", "mend", "reload", "replace", "start", "create"]
    actions = [Action(kind, kind, [], f"id-{kind}") for kind in kinds]
    written = Action("mend", "written", [], "id", repairs=(repair.Repair("write", "/a", "content"),))
    asked: list[str] = []

    def differences(_: str, name: str) -> list[str]:
        asked.append(name)
        return ["a is 1 -> 2"] if name == "keep" else []

    found = told_anew([*actions, written], differences)
    assert sorted(asked) == ["keep", "mend"]
    assert found[0]._replace(id="") == Action(
        "mend", "keep", ["a is 1 -> 2"], repairs=(repair.Repair("tell", "a is 1 -> 2", "a is 1 -> 2"),)
    )
    assert found[1:] == [*actions[1:], written]


def test_mounts_of_a_process_whose_directories_are_there_are_not_lost() -> None:
    assert lost_mounts(os.getpid()) == frozenset()
    assert lost_mounts(0) == frozenset()


@pytest.mark.parametrize(
    ("kind", "changes", "mends"),
    [
        ("keep", {}, "reload"),
        ("keep", {"lost_mounts": frozenset({"/etc/c"})}, "restart"),
        ("reload", DETACHED, "reload"),
        ("reload", {"lost_mounts": frozenset({"/etc/c"})}, "replace"),
        ("keep", {"stays_down": True}, "restart"),  # it reads its files then, too
        ("reload", {"stays_down": True}, "replace"),
    ],
)
def test_changed_files_of_a_container_that_can_reload_are_read_anew_where_it_still_has_their_directory(
    tmp_path: Path, kind: Any, changes: dict[str, Any], mends: str
) -> None:
    spec: Any = {**SPEC, "config": {"/etc/c": {"a": "1"}}, "reload": {"check": ["c"], "says": "done"}}
    files = Files(str(tmp_path), Store(str(tmp_path), {}, {}))
    files.mounts("c", spec)
    path = files.directories("c", spec)["/etc/c"].path / "a"
    path.chmod(0o600)
    path.write_text("changed")
    found = with_repairs(Action(kind, "c", [], "id-c"), spec, USUAL._replace(**changes), {"n": "id-n"}, files)
    assert found.kind == mends


@pytest.mark.parametrize("lost", [frozenset({"/data"}), frozenset[str]()], ids=["deleted", "moved away"])
def test_changed_files_are_not_read_anew_by_a_container_that_has_also_lost_a_directory(
    tmp_path: Path, lost: frozenset[str]
) -> None:
    spec: Any = {
        **SPEC,
        "config": {"/etc/c": {"a": "1"}},
        "data": {"/data": "d"},
        "reload": {"check": ["c"], "says": "done"},
    }
    files = Files(str(tmp_path), Store(str(tmp_path), {}, {}))
    files.mounts("c", spec)
    (files.directories("c", spec)["/etc/c"].path / "a").unlink()
    shutil.rmtree(tmp_path / "data")
    present = USUAL._replace(lost_mounts=lost)
    found = with_repairs(Action("keep", "c", [], "id-c"), spec, present, {"n": "id-n"}, files)
    assert found.kind == "restart"
    assert [one.partition(":")[0] for one in found.reasons] == ["/etc/c/a", "/data"]
