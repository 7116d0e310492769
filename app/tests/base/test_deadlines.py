"""One timer watches deadlines of one length, and each behaves as asyncio.timeout() does."""

from __future__ import annotations

import asyncio

import pytest

from sse_app.base.deadlines import Deadlines

NEVER = 60.0  # seconds: longer than any test


async def wait_for_ever(deadlines: Deadlines) -> None:
    with deadlines.begin():
        await asyncio.Event().wait()


def test_what_takes_too_long_ends_with_a_timeout_error() -> None:
    async def scenario() -> None:
        deadlines = Deadlines(0.01)
        tasks = [asyncio.create_task(wait_for_ever(deadlines)) for _ in range(3)]
        async with asyncio.timeout(NEVER):
            found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(one) for one in found] == [TimeoutError] * 3
        assert not any(task.cancelled() for task in tasks)

    asyncio.run(scenario())


def test_one_that_begins_later_ends_later_and_not_with_the_others() -> None:
    async def scenario() -> None:
        deadlines, order = Deadlines(0.02), list[str]()

        async def wait(name: str, before: float) -> None:
            await asyncio.sleep(before)
            with pytest.raises(TimeoutError):
                await wait_for_ever(deadlines)
            order.append(name)

        async with asyncio.timeout(NEVER):
            await asyncio.gather(wait("second", 0.01), wait("first", 0))
        assert order == ["first", "second"]

    asyncio.run(scenario())


def test_what_ends_in_time_is_not_interrupted_afterwards() -> None:
    async def scenario() -> str:
        deadlines = Deadlines(0.01)
        with deadlines.begin():
            await asyncio.sleep(0)
        with pytest.raises(TimeoutError):  # so the first one is over, too
            await wait_for_ever(deadlines)
        await asyncio.sleep(0)
        return "done"

    assert asyncio.run(scenario()) == "done"


def test_a_cancellation_by_somebody_else_stays_a_cancellation() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(wait_for_ever(Deadlines(NEVER)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(scenario())


def test_another_error_passes_as_it_is() -> None:
    async def scenario() -> None:
        with Deadlines(NEVER).begin():
            raise LookupError

    with pytest.raises(LookupError):
        asyncio.run(scenario())
