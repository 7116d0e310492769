"""What a host of a cluster has before tasks run there."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_files import ensure

ME = f"{os.geteuid()}:{os.getegid()}"


def wanted(state: Path, kind: str, below: str, **files: str) -> Any:
    named = {"service": "sse-a", "target": "/t"} if kind in {"config", "secrets"} else {"service": "", "target": ""}
    return {"kind": kind, "path": str(state / below), "user": ME, "files": files, **named}


def every(state: Path, **files: str) -> list[Any]:
    return [
        wanted(state, "data", "data/sse-a/log"),
        wanted(state, "shared", "shared/requests"),
        wanted(state, "bind", "switches"),
        wanted(state, "bind", "matrix"),
        wanted(state, "secrets", "files/sse-a/live-0", **files),
        wanted(state, "config", "files/sse-a/now/config-0", conf="text"),
    ]


def modes(state: Path) -> dict[str, str]:
    return {str(one.relative_to(state)): f"{stat.S_IMODE(one.stat().st_mode):o}" for one in sorted(state.rglob("*"))}


def test_everything_is_made_once_with_its_permissions(tmp_path: Path) -> None:
    state = tmp_path / "state"
    changed = ensure(str(state), every(state, key="s3cret"))
    assert [one.split(": ", 1)[1] for one in changed] == ["is missing"] * 6
    assert modes(state) == {
        "data": "700",
        "data/sse-a": "700",
        "data/sse-a/log": "700",
        "shared": "700",
        "shared/requests": "700",
        "switches": "750",
        "matrix": "755",
        "files": "700",
        "files/sse-a": "700",
        "files/sse-a/live-0": "700",
        "files/sse-a/live-0/key": "400",
        "files/sse-a/now": "700",
        "files/sse-a/now/config-0": "700",
        "files/sse-a/now/config-0/conf": "444",
    }
    assert stat.S_IMODE(state.stat().st_mode) == 0o711
    assert (state / "files/sse-a/live-0/key").read_text() == "s3cret"
    assert ensure(str(state), every(state, key="s3cret")) == []


def test_check_mode_tells_the_same_and_makes_nothing(tmp_path: Path) -> None:
    state = tmp_path / "state"
    told = ensure(str(state), every(state, key="1"), check=True)
    assert not state.exists()
    assert ensure(str(state), every(state, key="1")) == told


def test_a_secret_that_changes_is_written_in_one_step_and_never_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    ensure(str(state), every(state, key="first", old="x"))
    directory = state / "files/sse-a/live-0"
    before = directory.stat().st_ino
    [told] = ensure(str(state), every(state, key="second"))
    assert told.endswith("live-0: key: content, old: is not declared")
    assert [one.name for one in directory.iterdir()] == ["key"]
    assert directory.stat().st_ino == before  # a running task has it mounted


@pytest.mark.parametrize(
    ("path", "mode", "said"),
    [("data/sse-a/log", 0o755, "permissions 755 -> 700"), ("switches", 0o700, "permissions 700 -> 750")],
)
def test_permissions_that_somebody_changed_are_put_right(tmp_path: Path, path: str, mode: int, said: str) -> None:
    state = tmp_path / "state"
    ensure(str(state), every(state))
    (state / path).chmod(mode)
    assert ensure(str(state), every(state)) == [f"~ {state / path}: {said}"]
    assert ensure(str(state), every(state)) == []


def test_a_directory_of_the_host_that_is_not_there_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    state = tmp_path / "state"
    mounted: Any = {**wanted(state, "bind", "x"), "path": str(tmp_path / "none")}
    with pytest.raises(ApplyError, match="none is not on this host, and a service mounts it: expected it on every"):
        ensure(str(state), [*every(state), mounted])
    assert not state.exists()


def test_what_is_in_place_of_data_is_kept_beside(tmp_path: Path) -> None:
    state = tmp_path / "state"
    (state / "data/sse-a").mkdir(parents=True)
    (state / "data/sse-a/log").write_text("somebody's")
    ensure(str(state), every(state))
    assert (state / "data/sse-a/log.aside-1").read_text() == "somebody's"


def test_a_host_where_a_restore_was_killed_gets_no_task(tmp_path: Path) -> None:
    (tmp_path / "restoring").mkdir()
    (tmp_path / "incoming").mkdir()
    with pytest.raises(ApplyError, match=r"ended before everything was in place.*run ./sse restore again"):
        ensure(str(tmp_path), every(tmp_path))
    assert sorted(one.name for one in tmp_path.iterdir()) == ["incoming", "restoring"]
    (tmp_path / "restoring").rmdir()
    ensure(str(tmp_path), every(tmp_path))
    assert not (tmp_path / "incoming").exists()
