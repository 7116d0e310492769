"""From the log into the ring: reads in order, drops duplicates, and checks the log anew after the broker was away."""

import asyncio
import heapq
import logging
import random
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.fanout.hub import Hub
from sse_app.fanout.pace import Pace
from sse_app.fanout.ring import Ring, entry
from sse_app.log.cursor import Cursor
from sse_app.log.duplicates import Dropped, Window
from sse_app.log.interface import CUT, MARKER, Bounds, Draft, Log, LogUnavailableError, OutOfRangeError, Record

_CHUNK = 1000  # records per read: about 10 ms of work
_RETRY_SECONDS = (0.2, 1.0)  # between attempts to reach the log: the first pause and the longest
_CUTS = 1000  # that are known: each is an accident
_RECALL_SECONDS = 2.0  # for what Redis remembers: without it a replica starts, too
_MARK_SECONDS = 5.0  # for a marker: an append without an answer must not keep a replica from reading
logger = logging.getLogger(__name__)
Offer = Callable[[Ring, int], None]  # a new record: the ring and its first new offset
# The newest record that was remembered elsewhere, or the one at an offset; raises OSError.
Recall = Callable[[int | None], Awaitable[Cursor | None]]


class Feed:
    """The one reader of new records in this replica; `ring.end` is its position."""

    def __init__(
        self,
        settings: Settings,
        log: Log,
        hub: Hub,
        metrics: Metrics,
        offer: Offer,
        forget: Callable[[], None],
        recall: Recall,
    ) -> None:
        """Feed the ring of the hub; `forget` is called when the log has other records than those that were read."""
        self.error = "not connected yet"  # empty while the log answers
        self.end = 0  # of the log, as last heard
        self.window = Window(settings.dedupe_window, settings.window_seconds)
        self.dropped = Dropped()
        # Where the log has lost its end: the offset of the marker, and the place.
        self.cuts: list[tuple[int, int]] = []
        self._unsaid: Draft | None = None  # the marker of a lost end that is not written yet
        self._doubted = False  # somebody has found that the log has other records
        self._log = log
        self._ring = hub.ring
        self._hub = hub
        self._metrics = metrics
        self._marker_seconds = settings.retention_seconds / 2  # of silence, after which a marker keeps the log filled
        self._marker_due = 0.0  # by the clock of the loop
        self._offer = offer
        self._forget = forget
        self._recall = recall
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0
        self.writing = 0  # publishes on their way: they wait for their records, or will
        self._own = 0  # records since the last reading that this replica has written
        self._asked: list[asyncio.Future[None]] = []  # who waits for one more reading
        self._pace = Pace(
            waited=lambda: bool(hub.subscribers or self.writing or self._waiting),
            watched=lambda: bool(hub.streams),
            pressed=lambda: 0 < self.writing <= len(self._waiting),
        )

    @property
    def lag(self) -> int:
        """Records that the log holds and this replica has not read."""
        return max(0, self.end - self._ring.end)

    async def passed(self, offset: int, own: int = 0) -> None:
        """Wait until the record at `offset` has been read; LogUnavailableError if the log changes meanwhile.

        :param own: how many records up to there this replica has written
        """
        self._own += own
        if offset < self._ring.end:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._waiting, (offset, self._count, future))
        self._pace.press()
        await future

    def write_begins(self) -> None:
        """Count a publish in, whose record will be waited for; whoever calls this counts it out."""
        self.writing += 1
        self._pace.hurry()

    @property
    def rests(self) -> bool:
        """Whether there may be records for some time which this replica has not read, because nobody waits for any."""
        return self._pace.idle

    def expect(self) -> None:
        """Read without long rests for a while: a stream begins."""
        self._pace.hold()

    async def refresh(self) -> None:
        """Where this replica rests because nobody waits for records, read what has come since, and fan it out."""
        resting = self._pace.idle
        self._pace.hold()
        if not resting:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._asked.append(future)
        await future
        end = self._ring.end
        while self._hub.open and self._hub.position < end:
            await asyncio.wait((self._hub.moved(),))

    def holds(self, cursor: Cursor, key: bytes) -> bool:
        """Whether this record, with this key, is among those that have been read."""
        held, seen = self._ring.at(cursor.offset), self.window.find(key)
        if held is not None:
            return held.cursor == cursor
        return seen is not None and seen.first <= cursor.offset <= seen.last

    async def check_log(self) -> None:
        """Check that the log still holds the last record that was read; if not, have run() look into it and raise.

        Raises LogUnavailableError.
        """
        last = self._ring.at(self._ring.end - 1)
        if last is None or not await self._is_in_log(last.cursor):
            self._doubted = True
            raise LogUnavailableError("the log has changed")

    async def run(self) -> None:
        """Read for ever."""
        delay = _RETRY_SECONDS[0]
        while True:
            try:
                await self._attach()
                await self._say()
                self._set(error="")
                async with self._log.tail(self._ring.end) as tail:
                    while True:
                        asked = len(self._asked)
                        fetched = await tail.fetch(wait=not asked)
                        if (self._doubted or not fetched.unbroken) and not await self._agrees():
                            break
                        self.end = fetched.end
                        await self._take(fetched.records)
                        await self._keep_alive(fetched.records)
                        delay = _RETRY_SECONDS[0]
                        self._answer(asked)
                        if self._log.remote and fetched.end <= self._ring.end:
                            own, self._own = self._own, 0
                            await self._pace.rest(len(fetched.records), own)
            except OutOfRangeError:
                logger.warning("the log does not hold offset %d", self._ring.end)
            except LogUnavailableError as error:
                self._set(error=str(error) or type(error).__name__)
            self._answer(len(self._asked))
            await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311 - spreads load, guards nothing
            delay = min(delay * 2, _RETRY_SECONDS[1])

    def _set(self, error: str) -> None:
        if bool(error) != bool(self.error):
            logger.log(logging.WARNING if error else logging.INFO, "log %s: %s", self._log.kind, error or "connected")
        self.error = error

    def _answer(self, count: int) -> None:
        """Let those go on who have asked for a reading."""
        for future in self._asked[:count]:
            if not future.done():
                future.set_result(None)
        del self._asked[:count]

    # --- content

    async def _take(self, records: Sequence[Record]) -> None:
        for begin in range(0, len(records), _CHUNK):
            for record in records[begin : begin + _CHUNK]:
                self._admit(record)
            self._hub.notify()
            while self._waiting and self._waiting[0][0] < self._ring.end:
                future = heapq.heappop(self._waiting)[2]
                if not future.done():
                    future.set_result(None)
            while self._ring.end - self._hub.position > _CHUNK:  # the feed must not run ahead of the fan-out
                await asyncio.wait((self._hub.moved(),))

    def _admit(self, record: Record, live: bool = True) -> None:
        duplicate = self.window.admit(record) is not None
        if duplicate:
            self.dropped.add(record.offset)
        before = self._ring.end if len(self._ring) else record.offset
        new = entry(record, duplicate)
        self._ring.append(new)
        if new.frame is None and new.cut is not None:
            self.cuts = [*self.cuts[-_CUTS:], (record.offset, new.cut)]
        if not live:
            return
        if not duplicate and record.draft.channel != MARKER:
            self._metrics.events += 1
        else:
            self._metrics.skipped["duplicate" if duplicate else "no_event"] += 1
        self._offer(self._ring, before)

    async def _keep_alive(self, records: Sequence[Record]) -> None:
        """Write a marker before retention can empty the log, because every cursor must name a real record."""
        if records:
            self._marker_due = asyncio.get_running_loop().time() + self._marker_seconds
        elif asyncio.get_running_loop().time() > self._marker_due:
            await self._mark()

    async def _say(self) -> None:
        """Write the marker of a lost end, for those who read of it later; another replica may have done so."""
        if self._unsaid is not None and self.window.find(self._unsaid.key) is None:
            await self._mark(self._unsaid)
        self._unsaid = None

    async def _mark(self, draft: Draft | None = None) -> None:
        try:
            async with asyncio.timeout(_MARK_SECONDS):
                await self._log.append([draft or marker()])
        except TimeoutError as error:
            raise LogUnavailableError("the log did not accept a marker in time") from error

    # --- does the log still hold what was read?

    async def _attach(self) -> None:
        await self._log.prepare()
        bounds = await self._bounds()
        if self._hub.open:
            await self._agrees()
        else:
            missed = await self._missed(bounds)
            await self._hub.restart(lambda: self._load(bounds, bounds.end, missed))
            newest = self._ring.at(self._ring.end - 1)
            age = time.time() - newest.timestamp / 1000 if newest else 0.0
            self._marker_due = asyncio.get_running_loop().time() + self._marker_seconds - max(0.0, age)

    async def _bounds(self) -> Bounds:
        bounds = await self._log.bounds()
        if bounds.start == bounds.end:
            await self._mark()
            bounds = await self._log.bounds()
        return bounds

    async def _agrees(self) -> bool:
        """Whether the log still holds the last record that was read; if not, rebuild the ring so that it agrees."""
        self._doubted = False
        bounds, last = await self._bounds(), self._ring.at(self._ring.end - 1)
        position = self._ring.end
        if position < bounds.start or (last is not None and last.cursor.offset < bounds.start):
            logger.warning("the log begins at %d, behind the last record read (%d)", bounds.start, position - 1)
            await self._hub.restart(lambda: self._load(bounds, bounds.end))
        elif position > bounds.end or (last is not None and not await self._is_in_log(last.cursor)):
            cut = await self._first_difference(bounds)
            logger.warning("the log has other records from offset %d on", cut)
            self._forget()
            lost = self._ring.at(cut)
            await self._hub.rewind(cut, lambda: self._load(bounds, cut))
            self.cuts.append((cut, cut))
            self._unsaid = cut_marker(cut, lost.cursor if lost is not None else None)
        else:
            return True
        return False

    async def _is_in_log(self, cursor: Cursor) -> bool:
        try:
            records = await self._log.read(cursor.offset, 1)
        except OutOfRangeError:
            return False
        return any((record.offset, record.fingerprint) == cursor for record in records)

    async def _first_difference(self, bounds: Bounds) -> int:
        offset, stop = max(self._ring.start, bounds.start), min(self._ring.end, bounds.end)
        while offset < stop:
            records = await self._log.read(offset, min(_CHUNK, stop - offset))
            if not records:
                break
            for record in records:
                held = self._ring.at(record.offset)
                if held is not None and held.cursor != (record.offset, record.fingerprint):
                    return record.offset
                offset = record.offset + 1
        return min(offset, stop) if offset >= bounds.start else bounds.start

    async def _missed(self, bounds: Bounds) -> int | None:
        """Where the log has lost its end while no replica ran, by what Redis remembers; None where it has not."""
        try:
            async with asyncio.timeout(_RECALL_SECONDS):
                newest = await self._recall(None)
                if newest is not None and newest.offset >= bounds.end:
                    # Another replica may have read it since the log was asked. The log knows each record before Redis.
                    bounds = await self._log.bounds()
                if newest is None or newest.offset < bounds.start or await self._holds(newest, bounds):
                    return None
                held, cut = bounds.start - 1, min(newest.offset, bounds.end)
                while held + 1 < cut:
                    middle = (held + cut) // 2
                    known = await self._recall(middle)
                    if known is None or await self._holds(known, bounds):
                        held = middle
                    else:
                        cut = middle
                lost = await self._recall(cut)
                if await self._recall(None) != newest:  # another replica has told it, and goes on writing
                    return None
                self._unsaid = cut_marker(cut, lost)
        except OSError as error:  # a TimeoutError is one, too
            logger.warning("nothing tells whether the log has lost its end: %s", error or type(error).__name__)
            return None
        logger.warning("the log has lost its end from offset %d on, while no replica ran", cut)
        return cut

    async def _holds(self, cursor: Cursor, bounds: Bounds) -> bool:
        return cursor.offset < bounds.end and await self._is_in_log(cursor)

    async def _load(self, bounds: Bounds, target: int, missed: int | None = None) -> None:
        """Fill window and ring with the records before `target`; those whose window is incomplete are not served."""
        for _, _, future in self._waiting:
            if not future.done():
                future.set_exception(LogUnavailableError("the log has changed"))
        self._waiting.clear()
        self.cuts = [(marked, cut) for marked, cut in self.cuts if marked < target]  # the later ones are lost, too
        offset = max(bounds.start, target - self.window.size - self._ring.max_events)
        self.window.clear()
        self._ring.clear(offset)
        self.dropped.clear(offset)
        while offset < target:
            records = await self._log.read(offset, min(_CHUNK, target - offset))
            for record in records:
                if not self.window.complete:
                    self._ring.clear(record.offset)  # keep one: the windows of all records after it are complete
                    self.dropped.clear(record.offset)
                self._admit(record, live=False)
                offset = record.offset + 1
            self._ring.trim(offset)
            if not records:
                break
        self.end = max(self.end, self._ring.end)
        if missed is not None:
            self.cuts.append((missed, missed))


def cut_marker(cut: int, lost: Cursor | None) -> Draft:
    """The marker of a lost end: the same of every replica that has read what was lost, so that one of them counts."""
    key = f"cut\0{cut}\0{lost or uuid.uuid4()}"
    return Draft(key.encode(), MARKER, CUT, b"%d" % cut, b"")


def marker() -> Draft:
    """A record that every reader skips."""
    return Draft(f"marker\0{uuid.uuid4()}".encode(), MARKER, "marker", b"", b"")
