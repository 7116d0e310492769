"""Where a stream begins: at the head, after a cursor that the ring or an older block holds, or at a gap."""

import asyncio
from dataclasses import dataclass

from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.event_stream import jittered
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Log, LogUnavailableError
from sse_app.resume.blocks import Blocks, GapError


class LaterError(Exception):
    """This replica cannot tell now where a stream begins; the client comes back, to any replica."""


@dataclass(slots=True)
class Start:
    """The first frame of a stream and its cursor; `older` is the same cursor where the ring does not hold it."""

    first: bytes
    cursor: int
    older: Cursor | None = None
    resumed: bool = False  # the client named a record of this log, so it has read a stream before
    generation: int = -1  # of the ring in which the cursor was checked


@dataclass(frozen=True, slots=True)
class Resumer:
    """Looks a cursor up in the ring, then in the blocks of older records."""

    settings: Settings
    log: Log
    feed: Feed
    hub: Hub
    blocks: Blocks
    metrics: Metrics

    async def start(self, requested: str) -> Start:
        """Where to begin for a Last-Event-ID (empty: a new stream); LaterError when that is not known now."""
        retry, generation = jittered(self.settings.retry_milliseconds), self.hub.generation
        try:
            async with asyncio.timeout(self.settings.hold_seconds):
                start = await self._start(requested, retry)
        except (TimeoutError, LogUnavailableError) as error:
            raise LaterError from error
        except GapError as error:
            self.metrics.resumes["gap"] += 1
            head = self.head_after(error)
            # One block: if the cursor came before the gap, a cut between the two would hide the loss.
            start = Start(event_stream.gap(error.reason, requested, str(head), retry), head.offset)
        start.generation = generation
        return start

    async def _start(self, requested: str, retry: int) -> Start:
        if not requested:
            head = self._head()
            self.metrics.resumes["new"] += 1
            return Start(event_stream.opening(retry, str(head)), head.offset)
        cursor = Cursor.parse(requested)
        if cursor is None:
            raise GapError("malformed")
        first = event_stream.opening(retry, str(cursor))
        ring = self.hub.ring
        if cursor.offset >= ring.end:
            if cursor.offset >= (await self.log.bounds()).end:
                raise GapError("truncated")
            await self.feed.passed(cursor.offset)  # the client comes from a replica that was ahead of this one
        held = ring.at(cursor.offset)
        if held is not None:
            if held.cursor != cursor:
                await self.feed.check_log()  # the client may know the new records of the log before this replica does
                raise GapError("truncated")
            self.metrics.resumes["ring"] += 1
            return Start(first, cursor.offset, resumed=True)
        block = await self.blocks.find(cursor)
        self.metrics.resumes[block.source] += 1
        return Start(first, cursor.offset, cursor, resumed=True)

    def head_after(self, error: GapError) -> Cursor:
        """Where a stream goes on after a gap, which is counted; LaterError when that is not known now."""
        head = self._head()
        self.metrics.gaps[error.reason] += 1
        return head

    def _head(self) -> Cursor:
        held = self.hub.ring.at(self.hub.position - 1)
        if held is None or not self.hub.open:
            raise LaterError
        return held.cursor
