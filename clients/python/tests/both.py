"""Both clients behind one face, so that each test is run with each of them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

from sse_client import AsyncClient, Client, Page, StreamEvent
from sse_client.async_client import AsyncStream
from sse_client.client import Stream

KINDS = ["sync", "async"]
LIMIT_SECONDS = 60.0


def listen(
    kind: str, url: str, count: int = 1000, *, client: dict[str, Any] | None = None, **how: Any
) -> list[StreamEvent]:
    """The first events of a stream; fewer where it ends before."""
    found: list[StreamEvent] = []
    channels = how.pop("channels", ("c",))
    if kind == "sync":
        with Client(url, **(client or {})) as one, one.stream(*channels, **how) as stream:
            for event in stream:
                found.append(event)
                if len(found) == count:
                    break
        return found

    async def run() -> None:
        async with (
            asyncio.timeout(LIMIT_SECONDS),
            AsyncClient(url, **(client or {})) as one,
            one.stream(*channels, **how) as stream,
        ):
            async for event in stream:
                found.append(event)
                if len(found) == count:
                    break

    asyncio.run(run())
    return found


def ask(kind: str, url: str, method: str, *words: Any, client: dict[str, Any] | None = None, **how: Any) -> Any:
    """One call of a method."""
    if kind == "sync":
        with Client(url, **(client or {})) as one:
            return getattr(one, method)(*words, **how)

    async def run() -> Any:
        async with asyncio.timeout(LIMIT_SECONDS), AsyncClient(url, **(client or {})) as one:
            return await getattr(one, method)(*words, **how)

    return asyncio.run(run())


def pages(kind: str, url: str, channel: str, **how: Any) -> list[Page]:
    """All pages of a history."""
    if kind == "sync":
        with Client(url) as one:
            return list(one.pages(channel, **how))

    async def run() -> list[Page]:
        async with asyncio.timeout(LIMIT_SECONDS), AsyncClient(url) as one:
            return [page async for page in one.pages(channel, **how)]

    return asyncio.run(run())


def publishes(kind: str, url: str, count: int) -> list[str]:
    """The ids of events that one client publishes one after the other."""
    if kind == "sync":
        with Client(url) as one:
            return [one.publish("c", number) for number in range(count)]

    async def run() -> list[str]:
        async with asyncio.timeout(LIMIT_SECONDS), AsyncClient(url) as one:
            return [await one.publish("c", number) for number in range(count)]

    return asyncio.run(run())


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT_SECONDS
    while not condition() and time.monotonic() < limit:
        time.sleep(0.01)


def closed_while_it_waits(kind: str, url: str, waiting: Callable[[], bool], **client: Any) -> list[StreamEvent]:
    """What a stream gave that is closed by another thread or task once a condition holds."""
    found: list[StreamEvent] = []
    if kind == "sync":
        with Client(url, **client) as one:
            stream: Stream = one.stream("c")
            thread = threading.Thread(target=lambda: found.extend(stream), daemon=True)
            thread.start()
            until(waiting)
            stream.close()
            thread.join(LIMIT_SECONDS)
            assert not thread.is_alive()
            assert list(stream) == []
        return found

    async def run() -> None:
        async with asyncio.timeout(LIMIT_SECONDS), AsyncClient(url, **client) as one:
            stream: AsyncStream = one.stream("c")

            async def read() -> None:
                found.extend([event async for event in stream])

            reading = asyncio.create_task(read())
            await asyncio.to_thread(until, waiting)
            await stream.aclose()
            await reading
            assert [event async for event in stream] == []

    asyncio.run(run())
    return found
