"""A rollout waits while it is paused, goes on when it is resumed, and ends when it is aborted."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout_control, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import (
    AbortedError,
    Control,
    ControlError,
    give,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"asked": "up", "controller": "here", "process": "1:2", "alive": ["1:2"]}
ANA = {"who": "ana", "where": "laptop", "when": "2026-01-02T03:04:05Z", "why": "a look"}


@pytest.fixture
def locked(tmp_path: Path) -> Iterator[str]:
    """The state directory of a stack that a run changes."""
    with run_lock.locked(str(tmp_path), RUN):
        yield str(tmp_path)


def test_a_run_waits_while_it_is_paused_without_asking_again_and_again(
    locked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollout_control, "LOOK_SECONDS", 3600.0)  # so it is woken, or the test hangs
    give(locked, "paused", ANA)
    [line] = rollout_control.lines(locked)
    assert line.startswith("THE ROLLOUT IS PAUSED, paused by ana@laptop since 2026-01-02T03:04:05Z (a look): ")
    passed = threading.Event()

    def run() -> None:
        Control(locked, RUN).gate()
        passed.set()

    waiting = threading.Thread(target=run, daemon=True)
    waiting.start()
    assert not passed.wait(0.3)
    give(locked, "resumed", ANA)
    assert passed.wait(10)
    assert rollout_control.lines(locked) == []
    Control(locked, RUN).gate()


def test_an_aborted_run_ends_with_who_and_why_also_while_it_waits(locked: str) -> None:
    control, errors = Control(locked, RUN), list[str]()
    give(locked, "paused", ANA)

    def run() -> None:
        try:
            control.gate()
        except AbortedError as error:
            errors.append(str(error))

    waiting = threading.Thread(target=run, daemon=True)
    waiting.start()
    give(locked, "aborted", ANA)
    waiting.join(10)
    assert errors == ["The rollout was aborted by ana@laptop since 2026-01-02T03:04:05Z (a look)."]
    assert control.aborted


def test_to_say_it_twice_changes_nothing_and_an_aborted_run_stays_so(locked: str) -> None:
    assert give(locked, "paused", ANA)["who"] == "ana@laptop"
    assert give(locked, "paused", {**ANA, "who": "ben"})["who"] == "ana@laptop"
    give(locked, "aborted", ANA)
    assert give(locked, "resumed", ANA)["state"] == "aborted"


def test_an_order_for_a_run_that_was_killed_stops_no_later_one(locked: str) -> None:
    give(locked, "paused", ANA)
    Control(locked, {**RUN, "process": "3:4"}).gate()


def test_where_no_rollout_runs_the_order_is_refused_with_what_there_is(tmp_path: Path) -> None:
    state: Any
    for state in ("paused", "resumed", "aborted"):
        with pytest.raises(ControlError, match="No rollout runs now"):
            give(str(tmp_path), state, ANA)
    with run_lock.locked(str(tmp_path), {**RUN, "asked": "backup"}), pytest.raises(ControlError, match="backup"):
        give(str(tmp_path), "paused", ANA)
    with run_lock.locked(str(tmp_path), RUN), pytest.raises(ControlError, match="not paused"):
        give(str(tmp_path), "resumed", ANA)
    with run_lock.locked(str(tmp_path), RUN):
        run_lock.say_over(str(tmp_path))
        with pytest.raises(ControlError, match=r"The rollout is over, .* only verifies .*`./sse rollback` goes back"):
            give(str(tmp_path), "aborted", ANA)
    with run_lock.locked(str(tmp_path), RUN):
        assert give(str(tmp_path), "paused", ANA, check=True)["state"] == "paused"
    assert "rollout.json" not in os.listdir(tmp_path)  # noqa: PTH208
