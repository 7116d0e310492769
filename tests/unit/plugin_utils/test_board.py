"""The rows of a run: in the order of the plan, each with its end, on every screen."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.plugin_utils.board import LETTERS, PICTURES, Board, signs

PLAN = {"plan": [["kafka", "create", "+ kafka (new)"], ["nginx", "replace", "~ nginx: memory: 64 -> 128"]]}


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def board() -> Board:
    made = Board(PICTURES, Clock())
    made.take("vm", PLAN)
    return made


def texts(board: Board, width: int = 80, height: int = 20, **more: Any) -> list[str]:
    return [text for _, text in board.lines(width, height, **more)]


def test_what_comes_what_is_worked_on_and_what_is_done_stand_in_the_order_of_the_plan(board: Board) -> None:
    assert texts(board) == ["  + kafka (new)", "  ~ nginx: memory: 64 -> 128"]
    board.take("vm", {"row": "kafka", "doing": "create"})
    board.clock.now = 103.2  # type: ignore[attr-defined]
    assert texts(board)[0].endswith(" kafka creating 3.2 s")
    board.take("vm", {"row": "kafka", "doing": "start"})
    assert texts(board)[0].endswith(" kafka starting 3.2 s")
    board.take("vm", {"row": "kafka", "seconds": 6.1})
    assert texts(board)[0] == "  ✔ kafka healthy 6.1 s"
    assert board.summary == "1 of 2 containers done"


def test_the_row_of_the_container_that_failed_says_why(board: Board) -> None:
    board.take("vm", {"row": "nginx", "doing": "replace"})
    board.take("vm", {"row": "nginx", "failed": "not healthy after 60 s: connection refused"})
    assert texts(board)[1] == "  ✘ nginx not healthy after 60 s: connection refused"
    assert board.ended() == [("failed", "  ✘ nginx not healthy after 60 s: connection refused")]


def test_each_end_is_told_once_and_a_container_that_goes_back_is_told_again(board: Board) -> None:
    board.take("vm", {"row": "kafka", "seconds": 6.1})
    assert len(board.ended()) == 1
    assert board.ended() == []
    board.take("vm", {"row": "kafka", "doing": "replace"})
    board.take("vm", {"row": "kafka", "seconds": 2.0})
    assert len(board.ended()) == 1


def test_no_row_is_wider_than_the_screen(board: Board) -> None:
    board.take("vm", {"row": "nginx", "failed": "x" * 200})
    for width in (10, 20, 40, 79):
        assert max(map(len, texts(board, width))) <= width


def test_on_a_low_screen_what_is_worked_on_is_seen_and_the_others_are_counted() -> None:
    board = Board(PICTURES, Clock())
    board.take("vm", {"plan": [[f"app-{n}", "create", f"+ app-{n} (new)"] for n in range(20)]})
    board.take("vm", {"row": "app-17", "doing": "create"})
    board.take("vm", {"row": "app-3", "failed": "no"})
    lines = texts(board, 80, 5)
    assert len(lines) == 5
    assert any("app-17 creating" in one for one in lines)
    assert any("✘ app-3" in one for one in lines)
    assert lines[-1] == "  … and 16 more"


def test_of_several_hosts_each_row_names_its_own(board: Board) -> None:
    board.take("vm2", PLAN)
    board.take("vm2", {"row": "kafka", "seconds": 1.0})
    assert texts(board, hosts=True)[2] == "  [vm2] ✔ kafka healthy 1.0 s"
    board.forget("vm")
    assert len(texts(board)) == 2


def test_what_is_not_known_changes_nothing(board: Board) -> None:
    before = texts(board)
    for event in ({}, {"row": "gone", "doing": "create"}, {"row": "gone", "seconds": 1.0}, {"new": "thing"}):
        board.take("vm", event)
    assert texts(board) == before


def test_a_terminal_of_another_character_set_gets_letters_alone() -> None:
    board = Board(LETTERS, Clock())
    board.take("vm", PLAN)
    board.take("vm", {"row": "kafka", "seconds": 6.1})
    board.take("vm", {"row": "nginx", "failed": "x" * 200})
    assert all(line.isascii() for line in texts(board, 40))
    assert (signs({}), signs({"SSE_LETTERS": "1"})) == (PICTURES, LETTERS)
    assert (signs({"TERM": "xterm"}), signs({"TERM": "linux"})) == (PICTURES, LETTERS)  # the console of the kernel
