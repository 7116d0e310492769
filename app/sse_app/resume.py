"""Where a stream begins: at the head, after a cursor that the ring or only the log holds, or at a gap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from sse_app import event, ids
from sse_app.event import Reason, jittered
from sse_app.feed import Feed
from sse_app.hub import Hub
from sse_app.ids import Cursor
from sse_app.log import Log, LogUnavailableError, OutOfRangeError
from sse_app.metrics import Metrics
from sse_app.ring import Entry, entry
from sse_app.settings import Settings
from sse_app.window import Window

_COLD_RESUMES = 4  # at once: each holds a window (see SSE_DEDUPE_WINDOW) and reads the log
_CHUNK = 1000


class LaterError(Exception):
    """This replica cannot tell now; the client is to come back, to any replica."""


class _GapError(Exception):
    def __init__(self, reason: Reason) -> None:
        self.reason: Reason = reason


class Start:
    """A stream's first frame, its cursor, and what it has to read from the log before the ring holds the rest."""

    def __init__(self, first: bytes, cursor: int, backlog: Backlog | None = None, *, proven: bool = False) -> None:
        self.first = first
        self.cursor = cursor
        self.backlog = backlog
        self.proven = proven  # the client named a record of this log: it has read a stream before
        self.history = -1  # of the hub, in which the cursor was checked

    def close(self) -> None:
        """Let go of the backlog, read or not."""
        if self.backlog is not None:
            self.backlog.close()
            self.backlog = None


class Resumer:
    """Checks cursors by ring, then log; Redis between the two is to come with issue 4."""

    def __init__(self, settings: Settings, log: Log, feed: Feed, hub: Hub, metrics: Metrics) -> None:
        self._settings = settings
        self._log = log
        self._feed = feed
        self._hub = hub
        self._metrics = metrics
        self._cold = asyncio.Semaphore(_COLD_RESUMES)

    async def start(self, requested: str) -> Start:
        """Where to begin for a Last-Event-ID, empty for none; LaterError when that cannot be told now."""
        retry, history = jittered(self._settings.retry_milliseconds), self._hub.history
        try:
            async with asyncio.timeout(self._settings.hold_seconds):
                start = await self._start(requested, retry)
        except (TimeoutError, LogUnavailableError) as error:
            raise LaterError from error
        except _GapError as error:
            self._metrics.gaps[error.reason] += 1
            self._metrics.resumes["gap"] += 1
            head = self._head()
            # One block: were the cursor sent before the gap, a cut between the two would hide the loss.
            start = Start(event.gap(error.reason, requested, str(head), retry), head.offset)
        start.history = history
        return start

    async def _start(self, requested: str, retry: int) -> Start:
        if not requested:
            head = self._head()
            self._metrics.resumes["new"] += 1
            return Start(event.opening(retry, str(head)), head.offset)
        cursor = ids.parse(requested)
        if cursor is None:
            raise _GapError("malformed")
        first = event.opening(retry, str(cursor))
        ring = self._hub.ring
        if cursor.offset >= ring.end:
            if cursor.offset >= (await self._log.bounds()).end:
                raise _GapError("truncated")
            await self._feed.passed(cursor.offset)  # the client was on a replica ahead of this one
        held = ring.at(cursor.offset)
        if held is not None:
            if held.cursor != cursor:
                raise _GapError("truncated")
            self._metrics.resumes["ring"] += 1
            return Start(first, cursor.offset, proven=True)
        await self._cold.acquire()
        try:
            backlog = await self._backlog(cursor)
        except BaseException:
            self._cold.release()
            raise
        self._metrics.resumes["log"] += 1
        return Start(first, cursor.offset, backlog, proven=True)

    async def _backlog(self, cursor: Cursor) -> Backlog:
        bounds = await self._log.bounds()
        if cursor.offset < bounds.start:
            raise _GapError("expired")
        window = Window(self._settings.dedupe_window, self._settings.dedupe_seconds)
        offset = max(bounds.start, cursor.offset + 1 - window.size)
        try:
            while True:
                records = await self._log.read(offset, _CHUNK)
                if not records:
                    raise _GapError("truncated")
                for index, record in enumerate(records):
                    window.admit(record)
                    if record.offset == cursor.offset:
                        if record.fingerprint != cursor.fingerprint:
                            raise _GapError("truncated")
                        if not window.complete:
                            raise _GapError("expired")
                        rest = [entry(later, window.admit(later) is not None) for later in records[index + 1 :]]
                        return Backlog(self._log, window, records[-1].offset + 1, rest, self._cold)
                offset = records[-1].offset + 1
        except OutOfRangeError as error:
            raise _GapError("expired" if offset < self._hub.ring.start else "truncated") from error

    def _head(self) -> Cursor:
        held = self._hub.ring.at(self._hub.position - 1)
        if held is None or not self._hub.open:
            raise LaterError
        return held.cursor


class Backlog:
    """Entries from the log, from a cursor on until the ring takes over."""

    def __init__(self, log: Log, window: Window, offset: int, first: Sequence[Entry], slot: asyncio.Semaphore) -> None:
        self._log = log
        self._window = window
        self._offset = offset
        self._first = first
        self._slot = slot

    async def entries(self, hub: Hub) -> AsyncIterator[Sequence[Entry]]:
        """Read until the ring holds the next offset; LogUnavailableError or OutOfRangeError end the stream."""
        yield self._first
        while self._offset < hub.ring.start:
            records = await self._log.read(self._offset, _CHUNK)
            yield [entry(record, self._window.admit(record) is not None) for record in records]
            if records:
                self._offset = records[-1].offset + 1

    def close(self) -> None:
        """Let the next one read."""
        self._slot.release()
