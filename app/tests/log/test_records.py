"""The list of records names every event of the log once, with the id under which streams deliver it."""

from __future__ import annotations

import asyncio

from sse_app.fanout.feed import marker
from sse_app.log.cursor import Cursor, fingerprint
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Draft
from sse_app.records import lines


def draft(key: bytes, channel: str = "orders") -> Draft:
    return Draft(key, channel, "message", b"1", b"")


def test_every_event_is_listed_and_a_repeated_one_is_marked() -> None:
    async def listed() -> list[str]:
        log = EmbeddedLog(100)
        await log.append([marker()])
        await log.append([draft(b"a"), draft(b"b", "stock")])
        await log.append([draft(b"a")])
        return [line async for line in lines(log)]

    assert asyncio.run(listed()) == [
        f"{Cursor(1, fingerprint(b'a'))} orders",
        f"{Cursor(2, fingerprint(b'b'))} stock",
        f"{Cursor(3, fingerprint(b'a'))} orders repeated",
    ]
