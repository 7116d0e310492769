"""tests/judging/kept.py finds what a stack lost, has twice or calls by another id after it was brought elsewhere."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from judging.kept import Kept

from .test_outages import Stack


async def judged(change: Callable[[Stack], None]) -> tuple[dict[str, str], list[str]]:
    """Publish, change the stack, and resume after the tenth event; return the ids of then and what was wrong."""
    stack = Stack()
    server = await asyncio.start_server(stack.serve, "127.0.0.1", 0)
    kept = Kept("127.0.0.1", server.sockets[0].getsockname()[1])
    ids = await kept.published(200)
    change(stack)
    wrong = await kept.resumed(f"{kept.prefix}.kept", ids, 10)
    server.close()
    return ids, wrong


async def test_what_is_as_it_was_is_good() -> None:
    ids, wrong = await judged(lambda _: None)
    assert list(ids.values()) == [f"{one + 1}-x" for one in range(200)]
    assert wrong == []


def lost(stack: Stack) -> None:
    stack.loses = 150


def doubled(stack: Stack) -> None:
    stack.events.append(stack.events[20])


def moved(stack: Stack) -> None:
    stack.events[50], stack.events[51] = stack.events[51], stack.events[50]


def foreign(stack: Stack) -> None:
    stack.events.append(stack.events[20] | {"data": "9:9:9 " + stack.events[20]["channel"]})


@pytest.mark.parametrize(
    ("change", "words"), [(lost, "silent holes"), (doubled, "doubled"), (moved, "two ids"), (foreign, "none of these")]
)
async def test_what_is_not_is_told(change: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judging.judge.SETTLE_SECONDS", 1.0)
    _, wrong = await judged(change)
    assert words in json.dumps(wrong)
