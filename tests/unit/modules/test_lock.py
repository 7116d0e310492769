"""The module of the lock, as playbooks call it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.modules import lock


class Ended(Exception):  # noqa: N818 - no error: the module has ended
    """How a module ends."""


class Module:
    """What a module has of Ansible."""

    check_mode = False

    def __init__(self, **params: Any) -> None:
        self.params = params

    def exit_json(self, **result: Any) -> None:
        raise Ended("fine", result)

    def fail_json(self, msg: str) -> None:
        raise Ended("failed", msg)


def awaited(monkeypatch: pytest.MonkeyPatch, state: Path) -> Any:
    """Wait one second at most for another run; return how the module ends."""
    module = Module(state_directory=str(state), run={}, wait=1, state="awaited")
    monkeypatch.setattr(lock, "AnsibleModule", lambda **_: module)
    with pytest.raises(Ended) as ended:
        lock.main()
    return ended.value.args


def test_who_only_waits_is_told_of_a_run_that_does_not_end_and_takes_no_lock(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with run_lock.locked(str(tmp_path), {"asked": "up", "who": "ann", "where": "laptop"}):
        how, said = awaited(monkeypatch, tmp_path)
        assert how == "failed"
        assert said.startswith("Another run still changes this stack after 1 s: ./sse up of ann on laptop")
    assert awaited(monkeypatch, tmp_path)[0] == "fine"
    assert not run_lock.holder_of(str(tmp_path))
    assert awaited(monkeypatch, tmp_path / "nothing")[0] == "fine"
    assert not (tmp_path / "nothing").exists()
