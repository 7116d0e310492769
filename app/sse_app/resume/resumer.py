"""Where a stream begins: at the head, after a cursor that is in the ring or in the past, or at a gap."""

from __future__ import annotations

import asyncio

from sse_app.base import event
from sse_app.base.event import jittered
from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Log, LogUnavailableError
from sse_app.resume.blocks import GapError, Past


class LaterError(Exception):
    """This replica cannot tell now; the client is to come back, to any replica."""


class Start:
    """A stream's first frame and its cursor; `past` is the same cursor where the ring does not hold it any more."""

    def __init__(self, first: bytes, cursor: int, past: Cursor | None = None, *, proven: bool = False) -> None:
        self.first = first
        self.cursor = cursor
        self.past = past
        self.proven = proven  # the client named a record of this log: it has read a stream before
        self.history = -1  # of the hub, in which the cursor was checked


class Resumer:
    """Checks cursors by the ring, then by what is older: see past.py."""

    def __init__(self, settings: Settings, log: Log, feed: Feed, hub: Hub, past: Past, metrics: Metrics) -> None:
        self._settings = settings
        self._log = log
        self._feed = feed
        self._hub = hub
        self._metrics = metrics
        self.past = past

    async def start(self, requested: str) -> Start:
        """Where to begin for a Last-Event-ID, empty for none; LaterError when that cannot be told now."""
        retry, history = jittered(self._settings.retry_milliseconds), self._hub.history
        try:
            async with asyncio.timeout(self._settings.hold_seconds):
                start = await self._start(requested, retry)
        except (TimeoutError, LogUnavailableError) as error:
            raise LaterError from error
        except GapError as error:
            self._metrics.resumes["gap"] += 1
            head = self.head_after(error)
            # One block: were the cursor sent before the gap, a cut between the two would hide the loss.
            start = Start(event.gap(error.reason, requested, str(head), retry), head.offset)
        start.history = history
        return start

    async def _start(self, requested: str, retry: int) -> Start:
        if not requested:
            head = self._head()
            self._metrics.resumes["new"] += 1
            return Start(event.opening(retry, str(head)), head.offset)
        cursor = Cursor.parse(requested)
        if cursor is None:
            raise GapError("malformed")
        first = event.opening(retry, str(cursor))
        ring = self._hub.ring
        if cursor.offset >= ring.end:
            if cursor.offset >= (await self._log.bounds()).end:
                raise GapError("truncated")
            await self._feed.passed(cursor.offset)  # the client was on a replica ahead of this one
        held = ring.at(cursor.offset)
        if held is not None:
            if held.cursor != cursor:
                await self._feed.prove()  # else the client may have the newer history, and this replica not yet
                raise GapError("truncated")
            self._metrics.resumes["ring"] += 1
            return Start(first, cursor.offset, proven=True)
        block = await self.past.block(cursor)
        self._metrics.resumes[block.source] += 1
        return Start(first, cursor.offset, cursor, proven=True)

    def head_after(self, error: GapError) -> Cursor:
        """Where a stream goes on after a gap, which is counted; LaterError when that cannot be told now."""
        head = self._head()
        self._metrics.gaps[error.reason] += 1
        return head

    def _head(self) -> Cursor:
        held = self._hub.ring.at(self._hub.position - 1)
        if held is None or not self._hub.open:
            raise LaterError
        return held.cursor
