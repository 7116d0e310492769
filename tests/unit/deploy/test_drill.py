"""A drill removes a stack that a drill made, and no other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import drill, removal, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.removal import NoStackError, Removed


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The stacks that were really removed."""
    found: list[str] = []

    def tear_down(stack: str, state: str, _: int, *, check: bool, **__: Any) -> Removed:
        if not Path(state).exists():
            raise NoStackError("there is none")
        if not check:
            found.append(stack)
        return Removed([f"{stack}-one"], [], {})

    monkeypatch.setattr(removal, "tear_down", tear_down)
    return found


def test_a_stack_of_a_drill_is_removed(removed: list[str], tmp_path: Path) -> None:
    drill.mark(tmp_path)
    drill.remove("x-drill", str(tmp_path), {})
    assert removed == ["x-drill"]


def test_a_stack_that_no_drill_made_is_named_and_stays(removed: list[str], tmp_path: Path) -> None:
    with pytest.raises(drill.DrillError, match=r"no drill made: x-drill-one\. Nothing was changed"):
        drill.remove("x-drill", str(tmp_path), {})
    assert removed == []


def test_a_drill_that_runs_is_waited_for_where_that_is_asked_for(removed: list[str], tmp_path: Path) -> None:
    drill.mark(tmp_path)
    other = run_lock.take(str(tmp_path), {"asked": "backup --drill"}, 0)
    assert other
    with pytest.raises(run_lock.LockedError, match=r"\./sse backup --drill \(process .*--wait waits until it ends"):
        drill.remove("x-drill", str(tmp_path), {})
    threading.Timer(0.3, other.close).start()
    drill.remove("x-drill", str(tmp_path), {}, 10)
    assert removed == ["x-drill"]


def test_nothing_to_remove_is_fine(removed: list[str], tmp_path: Path) -> None:
    drill.remove("x-drill", str(tmp_path / "none"), {})
    assert removed == []
