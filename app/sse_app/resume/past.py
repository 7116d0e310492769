"""The past of some channels: from the newest record backwards, or after a cursor, through the ring and older blocks.

Every answer is exact by the log. Redis takes part only where it can show that it holds the same records: blocks.py says
how. So a Redis that was flushed, or that evicts keys, makes answers slower, and never shorter.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sse_app.base.channels import Filter
from sse_app.base.outcomes import GapReason
from sse_app.fanout.event_stream import json_size
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Log, LogUnavailableError
from sse_app.resume.blocks import Blocks, GapError

MOST_RECORDS = 200_000  # that one answer looks through: a few seconds of reading the log
Place = Literal["memory", "redis", "log"]


class Part(NamedTuple):
    """Consecutive records, oldest first, and where they came from."""

    records: Sequence[Entry]
    source: Place


@dataclass(slots=True)
class Page:
    """Events, oldest first. `cursor` is the last record that was looked at: whoever resumes there goes on exactly."""

    events: list[Entry]
    cursor: Cursor
    source: Place = "memory"
    before: Cursor | None = None  # where there may be older events: from where to look on
    after: Cursor | None = None  # where there may be newer ones
    gap: GapReason | None = None  # the cursor that was asked for no longer counts


@dataclass(frozen=True, slots=True)
class Past:
    """Looks through the records; all methods raise LogUnavailableError where that is not possible now."""

    log: Log
    feed: Feed
    hub: Hub
    blocks: Blocks

    def newest(self) -> Entry:
        """The newest record that was read."""
        held = self.hub.ring.at(self.hub.ring.end - 1)
        if held is None or not self.hub.open:
            raise LogUnavailableError("this replica is not ready")
        return held

    async def backward(self, before: Cursor | None = None) -> AsyncGenerator[Part]:
        """All records, or those before one, part by part; a later part holds older ones."""
        ring, oldest = self.hub.ring, self.hub.ring.at(self.hub.ring.start)
        self.newest()
        if oldest is None:
            raise LogUnavailableError("this replica is not ready")
        stop = ring.end if before is None else min(before.offset, ring.end)
        if stop > ring.start:
            part = ring.slice(ring.start, stop)
            link, stop = oldest.cursor, ring.start
            yield Part(part, "memory")
        elif before is not None:
            if before.offset <= (await self.log.bounds()).start:
                return
            # The record that is there now, whatever the log held when a client got the id.
            link = await self.blocks.before(before.offset + 1) or before
        else:
            link = oldest.cursor
        while stop > 0 and (block := await self.blocks.back(link)) is not None:
            records = block.records
            if block.first < stop:
                yield Part(records.slice(block.first, min(stop, records.end)), block.source)
            stop = block.first
            first = records.at(records.start)
            if first is None or first.cursor.offset >= link.offset:
                return
            link = first.cursor
            await asyncio.sleep(0)

    async def before(self, wanted: Filter, limit: int, size: int, before: Cursor | None = None) -> Page:
        """The newest events, or the newest before an id: at most `limit`, and about `size` bytes."""
        await self.feed.refresh()
        page = Page([], before or self.newest().cursor)
        oldest: Cursor | None = None  # of the records that were looked at
        looked = taken = 0
        try:
            async for part in self.backward(before):
                if oldest is None:
                    page.cursor = part.records[-1].cursor
                page.source = part.source
                looked += len(part.records)
                for held in reversed(part.records):
                    if held.frame is None or not wanted.matches(held.channel):
                        continue
                    taken += json_size(held.frame)
                    if len(page.events) == limit or (page.events and taken > size):
                        return _turned(page)
                    page.events.append(held)
                oldest = part.records[0].cursor
                if looked >= MOST_RECORDS:
                    return _turned(page, oldest)
        except LogUnavailableError:
            if oldest is None:
                raise
            return _turned(page, oldest)  # what this replica holds itself, and from where to look on
        return _turned(page)

    async def after(self, wanted: Filter, limit: int, size: int, cursor: Cursor) -> Page:
        """The oldest events after an id. Where the log cannot go on there, the newest events and the reason."""
        page = Page([], cursor)
        looked = taken = 0
        try:
            async for part in self.forward(cursor):
                page.source = part.source
                looked += len(part.records)
                for held in part.records:
                    if held.frame is not None and wanted.matches(held.channel):
                        taken += json_size(held.frame)
                        if len(page.events) == limit or (page.events and taken > size):
                            page.after = page.cursor
                            return page
                        page.events.append(held)
                    page.cursor = held.cursor
                if looked >= MOST_RECORDS:
                    page.after = page.cursor
                    return page
        except GapError as error:
            page = await self.before(wanted, limit, size)
            page.gap = error.reason
        return page

    async def forward(self, cursor: Cursor) -> AsyncGenerator[Part]:
        """All records after a cursor, up to the newest of now; raises GapError as Blocks.find() does."""
        await self.feed.refresh()
        ring = self.hub.ring
        if cursor.offset >= ring.end:
            if cursor.offset >= (await self.log.bounds()).end:
                raise GapError("truncated")
            await self.feed.passed(cursor.offset)
        end = ring.end
        while cursor.offset < end - 1:
            held = ring.at(cursor.offset)
            if held is not None:
                if held.cursor != cursor:
                    raise GapError("truncated")
                yield Part(ring.slice(cursor.offset + 1, end), "memory")
                return
            block = await self.blocks.find(cursor)
            part = block.records.slice(cursor.offset + 1, min(end, block.records.end))
            yield Part(part, block.source)
            cursor = part[-1].cursor
            await asyncio.sleep(0)
        held = ring.at(cursor.offset)
        if held is not None and held.cursor != cursor:
            raise GapError("truncated")

    async def last(self, wanted: Filter, count: int) -> tuple[Cursor | None, bool]:
        """The record after which exactly so many events follow, None for all that there are; and whether that is so."""
        looked, part = 0, Part((), "memory")
        async for part in self.backward():
            looked += len(part.records)
            for held in reversed(part.records):
                if not count:
                    return held.cursor, True
                count -= held.frame is not None and wanted.matches(held.channel)
            if looked >= MOST_RECORDS:
                return part.records[0].cursor, False
        return None, True


def _turned(page: Page, looked: Cursor | None = None) -> Page:
    """A page whose events were found the newest first, from what was looked through down to a record."""
    page.events.reverse()
    page.before = looked or (page.events[0].cursor if page.events else None)
    return page
