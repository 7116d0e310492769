"""The log kept in this process: for development on a laptop and for tests. It ends with the process."""

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from sse_app.log.cursor import fingerprint
from sse_app.log.interface import Bounds, Draft, Fetched, LogUnavailableError, OutOfRangeError, Record, Tail

_IDLE_SECONDS = 1.0  # as long as the Kafka log waits


class EmbeddedLog:
    """A list with an offset. Tests break it, as a broker breaks, by `available`, trim(), truncate() and recreate()."""

    kind = "embedded"
    remote = False

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._start = 0
        self._records: list[Record] = []
        self._waiting: list[asyncio.Future[None]] = []  # for a change
        self._timer: asyncio.TimerHandle | None = None  # one for all that wait
        self.generation = 0  # grows each time that other records may have taken known offsets
        self.available = True

    async def prepare(self) -> None:
        """There is nothing to create."""
        self._check()

    async def bounds(self) -> Bounds:
        """The offsets that are kept now."""
        self._check()
        return Bounds(self._start, self._start + len(self._records))

    async def read(self, offset: int, limit: int) -> Sequence[Record]:
        """Up to `limit` records from `offset`."""
        self._check()
        index = offset - self._start
        if not 0 <= index <= len(self._records):
            raise OutOfRangeError(offset)
        return self._records[index : index + limit]

    async def offset_at(self, milliseconds: int) -> int:
        """The first offset whose record is not older than a time (Unix); the end where there is none."""
        self._check()
        end = self._start + len(self._records)
        return next((record.offset for record in self._records if record.timestamp >= milliseconds), end)

    async def append(self, drafts: Sequence[Draft]) -> int:
        """Write all drafts at consecutive offsets."""
        self._check()
        first = self._start + len(self._records)
        now = time.time_ns() // 1_000_000
        self._records += [
            Record(offset, now, fingerprint(draft.key), draft) for offset, draft in enumerate(drafts, first)
        ]
        if len(self._records) > self._capacity * 5 // 4:  # in steps, because to shift a list costs its length
            self.trim(self._start + len(self._records) - self._capacity)
        self._wake()
        return first

    @asynccontextmanager
    async def tail(self, offset: int) -> AsyncGenerator[Tail]:
        """Follow the log from an offset."""
        self._check()
        yield _EmbeddedTail(self, offset)

    async def close(self) -> None:
        """There is nothing to close."""

    def trim(self, start: int) -> None:
        """Drop the records before `start`, as retention does."""
        del self._records[: start - self._start]
        self._start = start

    def truncate(self, end: int) -> None:
        """Lose the records from `end` on, as a power cut may; their offsets are given again."""
        del self._records[end - self._start :]
        self._change()

    def recreate(self) -> None:
        """Begin again at offset 0, as a topic does that is deleted and created again."""
        self._start = 0
        self._records.clear()
        self._change()

    def _change(self) -> None:
        self.generation += 1
        self._wake()

    async def grown(self) -> None:
        """Wait, at most about a second, for a change."""
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(_IDLE_SECONDS, self._tick)
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        await future

    def _tick(self) -> None:
        self._timer = None
        self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def _check(self) -> None:
        if not self.available:
            raise LogUnavailableError("the embedded log is switched off")


class _EmbeddedTail:
    def __init__(self, log: EmbeddedLog, offset: int) -> None:
        self._log = log
        self._offset = offset
        self._generation: int | None = None  # unknown at first, as with a new connection to a broker

    async def fetch(self, wait: bool = True) -> Fetched:
        records = await self._log.read(self._offset, 1000)
        if wait and not records and self._generation in (None, self._log.generation):
            await self._log.grown()
            records = await self._log.read(self._offset, 1000)
        self._offset += len(records)
        unbroken, self._generation = self._generation == self._log.generation, self._log.generation
        return Fetched(records, unbroken, (await self._log.bounds()).end)
