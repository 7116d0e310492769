"""Where a stream begins: at the head or another starting point, after a cursor that still counts, or at a gap."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, NamedTuple

from sse_app.base.channels import NOTHING, Filter
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import Source
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.event_stream import jittered
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Log, LogUnavailableError
from sse_app.resume.blocks import Blocks, GapError
from sse_app.resume.past import Past


class LaterError(Exception):
    """This replica cannot tell now where a stream begins; the client comes back, to any replica."""


class Since(NamedTuple):
    """A starting point in time, as it was asked for and in milliseconds (Unix)."""

    text: str
    milliseconds: int


Begin = Literal["earliest"] | int | Since | None  # all, the newest so many, those since a time; None: the next event
_SKIPPED = 100  # offsets in a row that a log may skip, one after each foreign transaction


@dataclass(slots=True)
class Start:
    """The first frame of a stream and its cursor; `older` is the same cursor where the ring does not hold it."""

    first: bytes
    cursor: int
    older: Cursor | None = None
    resumed: bool = False  # the client named a record of this log, so it has read a stream before
    generation: int = -1  # of the ring in which the cursor was checked
    told: int = -1  # where the log was cut, if its client is told of that, or has nothing to lose there
    heard: str = ""  # the id that its client has then


@dataclass(frozen=True, slots=True)
class Resumer:
    """Looks a cursor up in the ring, then in the blocks of older records."""

    settings: Settings
    log: Log
    feed: Feed
    hub: Hub
    blocks: Blocks
    past: Past
    metrics: Metrics

    async def start(self, requested: str, wanted: Filter = NOTHING, begin: Begin = None) -> Start:
        """Where to begin for a Last-Event-ID; LaterError when that is not known now.

        Where it is empty, the stream is a new one, and begins for these channels at the given point.
        """
        retry, generation = jittered(self.settings.retry_milliseconds), self.hub.generation
        start = self._at_once(requested, wanted, begin, retry)
        if start is not None:
            start.generation = generation
            return start
        try:
            async with asyncio.timeout(self.settings.hold_seconds):
                start = await (self._start(requested, wanted, retry) if requested else self._new(wanted, begin, retry))
        except (TimeoutError, LogUnavailableError) as error:
            raise LaterError from error
        except GapError as error:
            self.metrics.resumes["gap"] += 1
            try:
                resumed, told = await self.after_gap(error, requested)
            except LogUnavailableError as unavailable:
                raise LaterError from unavailable
            # One block: if the cursor came before the gap, a cut between the two would hide the loss.
            first = event_stream.gap(error.reason, requested, str(resumed), retry)
            start = Start(first, resumed.offset, resumed, told=told, heard=str(resumed))
        start.generation = generation
        return start

    def _at_once(self, requested: str, wanted: Filter, begin: Begin, retry: int) -> Start | None:
        """Where nothing must be waited for: a cursor in the ring, or the head of a replica that is up to date."""
        if not requested:
            return None if begin or self.feed.rests else self._newest(wanted, retry)
        cursor = Cursor.parse(requested)
        if cursor is None or self._held(cursor) != cursor:
            return None
        self.feed.expect()
        return self._resumed(cursor, wanted, retry, "ring")

    def _resumed(self, cursor: Cursor, wanted: Filter, retry: int, source: Source) -> Start:
        self.metrics.resumes[source] += 1
        return Start(_opening(cursor, wanted, retry, source), cursor.offset, resumed=True, heard=str(cursor))

    def _held(self, cursor: Cursor) -> Cursor | None:
        held = self.hub.ring.at(cursor.offset)
        return None if held is None else held.cursor

    async def _start(self, requested: str, wanted: Filter, retry: int) -> Start:
        cursor = Cursor.parse(requested)
        if cursor is None:
            raise GapError("malformed")
        self.feed.expect()
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
            return self._resumed(cursor, wanted, retry, "ring")
        block = await self.blocks.find(cursor)
        start = self._resumed(cursor, wanted, retry, block.source)
        start.older = cursor
        return start

    async def _new(self, wanted: Filter, begin: Begin, retry: int) -> Start:
        await self.feed.refresh()
        if begin is None or begin == 0:
            return self._newest(wanted, retry)
        self.metrics.resumes["new"] += 1
        self._head()
        if isinstance(begin, Since):
            return await self._since(wanted, begin, retry)
        if begin == "earliest":
            return _with(await self.blocks.earliest(), wanted, retry)
        cursor, whole = await self.past.last(wanted, begin)
        if cursor is None:
            return _with(await self.blocks.earliest(), wanted, retry)
        return _after(cursor, wanted, retry) if whole else self._short(f"last={begin}", cursor, retry)

    def _newest(self, wanted: Filter, retry: int) -> Start:
        self.metrics.resumes["new"] += 1
        head = self._head()
        return Start(_opening(head, wanted, retry, "new"), head.offset, told=self._last_cut(), heard=str(head))

    async def _since(self, wanted: Filter, begin: Since, retry: int) -> Start:
        offset = await self.log.offset_at(begin.milliseconds)
        if offset > self.hub.ring.end:
            await self.feed.passed(offset - 1)
        earliest = await self.blocks.earliest()
        first = earliest.cursor.offset
        if offset <= first and first:  # what the log no longer holds may be of that time, too
            return self._short(f"since={begin.text}", earliest.cursor, retry)
        if offset <= first:
            return _with(earliest, wanted, retry)
        return _after(await self._before(offset), wanted, retry)

    def _short(self, asked: str, cursor: Cursor, retry: int) -> Start:
        """Begin where that is possible, and say that there may have been more."""
        self.metrics.gaps["expired"] += 1
        first = event_stream.gap("expired", asked, str(cursor), retry)
        return Start(first, cursor.offset, cursor, heard=str(cursor))

    async def after_gap(self, error: GapError, requested: str) -> tuple[Cursor, int]:
        """Where a stream goes on after a gap, which is counted, and of which cut it is told by that.

        After a lost end that is where the log was cut, because what came since then is valid. Otherwise it is the head.
        Raises LaterError and LogUnavailableError when that is not known now.
        """
        resumed = self._head()
        told = self._last_cut()
        cursor = Cursor.parse(requested)
        if error.reason == "truncated" and cursor is not None:
            cuts = (cut for _, cut in reversed(self.feed.cuts) if cut <= cursor.offset)
            cut = next(cuts, None)
            if cut is not None and cut <= resumed.offset:
                with suppress(LogUnavailableError):  # otherwise the head will do: it is a gap in any case
                    resumed, told = await self._before(cut), cut
        self.metrics.gaps[error.reason] += 1
        return resumed, told

    def _last_cut(self) -> int:
        return self.feed.cuts[-1][1] if self.feed.cuts else -1

    async def _before(self, offset: int) -> Cursor:
        earliest = await self.blocks.earliest()
        if offset <= earliest.cursor.offset:
            return earliest.cursor
        for further in range(min(_SKIPPED, offset - earliest.cursor.offset)):
            held = self.hub.ring.at(offset - further - 1)
            cursor = held.cursor if held is not None else await self.blocks.before(offset - further)
            if cursor is not None:
                return cursor
        raise LaterError

    def _head(self) -> Cursor:
        held = self.hub.ring.at(self.hub.position - 1)
        if held is None or not self.hub.open:
            raise LaterError
        return held.cursor


def _opening(cursor: Cursor, wanted: Filter, retry: int, source: Source) -> bytes:
    """The first block, which says where what was missed comes from to those who asked for `meta`."""
    return event_stream.opening(retry, str(cursor), source if "meta" in wanted.extras else None)


def _after(cursor: Cursor, wanted: Filter, retry: int) -> Start:
    return Start(_opening(cursor, wanted, retry, "new"), cursor.offset, cursor, heard=str(cursor))


def _with(earliest: Entry, wanted: Filter, retry: int) -> Start:
    """Begin with the first record of all, which no cursor precedes."""
    cursor = earliest.cursor
    if earliest.frame is None or not wanted.matches(earliest.channel):
        return _after(cursor, wanted, retry)
    first = event_stream.retry_only(retry) + earliest.dressed(wanted.extras)
    return Start(first, cursor.offset, cursor, heard=str(cursor))
