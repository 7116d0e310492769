"""How soon the log is read again, on a clock that jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cluster import Loop

from sse_app.fanout.pace import Pace


class Reader:
    """Rests after each reading."""

    def __init__(self) -> None:
        self.waited = self.watched = self.pressed = False
        self.pace = Pace(lambda: self.waited, lambda: self.watched, lambda: self.pressed)
        self.times: list[float] = []
        self.found = self.own = 1

    async def read(self, count: int, every: float) -> None:
        """Read so often; a record comes every so many seconds."""
        loop = asyncio.get_running_loop()
        for _ in range(count):
            due = loop.time() + every
            await self.pace.rest(self.found, self.own)
            self.times.append(loop.time())
            await asyncio.sleep(due - loop.time())

    async def interrupted(self, at: float, by: Callable[[], None]) -> float:
        """How long a rest takes in which something happens."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        loop.call_later(at, by)
        await self.pace.rest(self.found, self.own)
        return loop.time() - begun


@pytest.fixture
def reader() -> Reader:
    return Reader()


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = Loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def test_readings_for_nobody_are_a_tenth_of_a_second_apart(reader: Reader) -> None:
    run(reader.read(10, every=0.001))
    assert reader.times[-1] == pytest.approx(1.0, abs=0.05)


def test_readings_for_the_checks_of_the_platform_alone_are_a_little_closer(reader: Reader) -> None:
    reader.watched = True
    run(reader.read(20, every=0.001))
    assert reader.times[-1] == pytest.approx(1.0, abs=0.05)


def test_a_stream_gets_what_comes_now_and_then_without_a_rest(reader: Reader) -> None:
    reader.waited = True
    run(reader.read(100, every=0.02))
    assert reader.times == [pytest.approx(n * 0.02) for n in range(100)]


def test_readings_that_come_fast_leave_some_milliseconds_in_which_records_gather(reader: Reader) -> None:
    reader.waited = True
    run(reader.read(400, every=0.001))
    gaps = [later - earlier for earlier, later in zip(reader.times[300:], reader.times[301:], strict=False)]
    assert max(gaps) == pytest.approx(0.008)
    run(reader.read(100, every=0.05))
    assert reader.pace._interval > 0.015  # and it ends when they come slower


def test_whoever_comes_ends_a_long_rest(reader: Reader) -> None:
    assert run(reader.interrupted(0.02, reader.pace.hurry)) == pytest.approx(0.02)
    assert run(reader.interrupted(0.02, reader.pace.press)) == pytest.approx(0.02)


def test_after_somebody_has_asked_for_the_newest_there_is_no_long_rest_for_a_second(reader: Reader) -> None:
    async def ask() -> list[float]:
        loop = asyncio.get_running_loop()
        first = await reader.interrupted(0.02, reader.pace.hold)
        await reader.read(20, every=0.05)
        return [first, loop.time()]

    assert run(ask()) == [pytest.approx(0.02), pytest.approx(1.02, abs=0.06)]
    assert all(later - earlier < 0.06 for earlier, later in zip(reader.times, reader.times[1:], strict=False))


@pytest.mark.parametrize(("found", "expected"), [(1, 0.0007), (3, 0.0021), (6, 0.0042), (100, 0.008)])
def test_a_short_rest_ends_sooner_when_every_publish_waits_for_its_record(
    reader: Reader, found: int, expected: float
) -> None:
    """The sooner, the more of the records are of this replica: all replicas together read as often as three."""
    reader.waited, reader.found = True, found
    run(reader.read(400, every=0.001))

    def press() -> None:
        reader.pressed = True
        reader.pace.press()

    async def again() -> float:
        await asyncio.sleep(reader.pace._read)  # a new loop begins at 0
        return await reader.interrupted(0.0001, press)

    assert run(again()) == pytest.approx(expected, rel=0.01)
