"""The removal of a stack: who did it stays in the history, and its data go while nobody else can begin."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import removal, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL, Observed
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts

RUN: dict[str, Any] = {"asked": "destroy", "who": "ann", "where": "laptop", "why": "moved", "given": {}}


class Engine:
    """An engine with a network of the stack and no container."""

    broken = False

    def containers(self) -> list[Any]:
        return []

    def stop(self, *_: object) -> None:
        pass

    def remove(self, *_: object) -> None:
        pass

    def networks(self, stack: str) -> dict[str, list[str]]:
        return {f"{stack}-network": []}

    def device(self, _: str) -> str:
        return ""

    def remove_network(self, name: str) -> None:
        if self.broken:
            raise ApplyError(f"{name} is in use")


class Nothing:
    """The firewall or the timer of a stack that has none."""

    def __init__(self, *_: object) -> None:
        pass

    def remove(self, **_: object) -> None:
        pass


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, fake in (("Engine", Engine), ("StackFirewall", Nothing), ("HostTimer", Nothing)):
        monkeypatch.setattr(removal, name, fake)
    monkeypatch.setattr(removal.keeping, "forget", lambda *_: None)
    (tmp_path / "state/data").mkdir(parents=True)
    return tmp_path / "state"


def test_the_history_says_who_removed_a_stack_whose_data_stay(state: Path) -> None:
    removal.tear_down("s", str(state), 1, delete_data=False, check=False, run=RUN)
    [one] = attempts(str(state))
    assert (one["asked"], one["who"], one["why"], one["outcome"]) == ("destroy", "ann", "moved", "applied")
    assert one["others"] == ["remove network s-network"]


def test_a_removal_that_failed_is_in_the_history_with_its_reason(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Engine, "broken", True)
    with pytest.raises(ApplyError):
        removal.tear_down("s", str(state), 1, delete_data=False, check=False, run=RUN)
    [one] = attempts(str(state))
    assert (one["outcome"], one["error"]) == ("failed", "s-network is in use")


def test_a_damaged_release_keeps_nobody_from_removing_a_stack(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {f"{LABEL}stack": "s", f"{LABEL}project": "p"}
    monkeypatch.setattr(Engine, "containers", lambda _: [Observed("s-a", "1", labels, "exited", "")])
    (state / "releases/p").mkdir(parents=True)
    (state / "releases/p/0001.json").write_text("{ half")
    removed = removal.tear_down("s", str(state), 1, delete_data=True, check=False, run=RUN)
    assert removed.containers == ["s-a"]
    assert not state.exists()


def test_data_behind_a_state_directory_that_is_a_link_are_deleted_with_the_link(state: Path, tmp_path: Path) -> None:
    state.rename(tmp_path / "disk")
    state.symlink_to(tmp_path / "disk")
    removal.tear_down("s", str(state), 1, delete_data=False, check=False, run=RUN)
    assert (state / "data").is_dir()
    assert removal.tear_down("s", str(state), 1, delete_data=True, check=False, run=RUN).state
    assert list(tmp_path.iterdir()) == []
    assert not removal.tear_down("s", str(state), 1, delete_data=True, check=False, run=RUN).state


def test_data_are_deleted_while_no_other_run_can_begin(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[object] = []
    monkeypatch.setattr(removal.shutil, "rmtree", lambda path, **_: held.append(run_lock.holder_of(path)))
    removal.tear_down("s", str(state), 1, delete_data=True, check=False, run=RUN)
    assert held != [None]
    assert held


def test_what_another_run_made_while_this_one_waited_is_removed_too(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there: list[Observed] = []
    monkeypatch.setattr(Engine, "containers", lambda _: list(there))

    @contextlib.contextmanager
    def waited(*_: object) -> Generator[None]:
        there.append(Observed("s-new", "1", {f"{LABEL}stack": "s"}, "running", ""))
        yield

    monkeypatch.setattr(removal, "lock", waited)
    removed = removal.tear_down("s", str(state), 1, delete_data=False, check=False, run=RUN)
    assert removed.containers == ["s-new"]
    assert [one["container"] for one in attempts(str(state))[0]["changes"]] == ["s-new"]


def test_what_the_stack_used_elsewhere_is_named_because_it_stays(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [{"elsewhere": [{"name": "Log", "servers": ["a.example:1", "b.example:1"]}]}, {}]
    monkeypatch.setattr(removal, "newest_releases", lambda _: used)
    removed = removal.tear_down("sse", str(state), 1, delete_data=False, check=True)
    assert removed.elsewhere == ["Log at a.example:1, b.example:1"]
