"""The Redis history: the newest records of all channels as one sequence, for resumes and pages of history.

It is a convenience and an accelerator. It never takes part in a live delivery, and the ring and the log alone are the
truth. One replica writes, which Redis knows by a lease. The others keep what Redis does not hold yet, so that the one
which takes the lease over leaves nothing out. The lease only saves work: several writers write the same, and what each
of them appends is checked by Redis itself. While Redis is away, records beyond a bound are dropped.
"""

import asyncio
import logging
import time
import uuid
from collections import deque
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from redis import RedisError

from sse_app.base.redis_client import connect
from sse_app.base.settings import Settings
from sse_app.fanout.ring import Entry, Ring
from sse_app.log.cursor import Cursor
from sse_app.resume.redis_sequence import Capacity, RedisSequence, mark, pack

_PENDING = 10_000  # records that wait for a Redis that is slow or away
_PENDING_BYTES = 8 * 2**20  # of their frames
_BATCH = 200  # records per round trip
_BATCH_BYTES = 2**19  # of their frames: about 2 ms of Redis' time
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 2.0  # a Redis that takes longer counts as away
_LEASE_SECONDS = 3.0  # after which another replica writes in the place of one that is gone
_LOOK_SECONDS = 1.0  # how often each replica asks for the lease, or for its own again
_LINGER_SECONDS = 0.05  # for which records gather, because a round trip costs more than a record
logger = logging.getLogger(__name__)


class _Offer(NamedTuple):
    offset: int
    entry: Entry
    previous: Entry | None  # the record before


class RedisHistory:
    """Writes in the background; without a Redis it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pending: deque[_Offer] = deque()
        self._pending_bytes = 0
        self._offered = asyncio.Event()
        self._connect = partial(connect, settings, _ANSWER_SECONDS)
        self._client: Any = None  # see connect()
        self._sequence: RedisSequence | None = None
        self._name = f"{settings.replica} {uuid.uuid4()}"  # of this process, as the writer
        self._leads = False
        self.state = "unavailable" if settings.redis_host else "disabled"

    def offer(self, ring: Ring, start: int) -> None:
        """Take what the ring holds from `start` on; never wait."""
        if not self._settings.redis_host:
            return
        for offset in range(start, ring.end):
            entry, previous = ring.at(offset), ring.at(offset - 1)
            if entry is not None:
                self._pending.append(_Offer(offset, entry, previous))
                self._pending_bytes += len(entry.frame or b"")
        while len(self._pending) > _PENDING or self._pending_bytes > _PENDING_BYTES:
            self._drop()
        self._offered.set()

    def _drop(self) -> None:
        self._pending_bytes -= len(self._pending.popleft().entry.frame or b"")

    def forget(self) -> None:
        """Drop what waits: the log has other records now. What Redis holds is recognized and replaced by the next."""
        self._pending.clear()
        self._pending_bytes = 0

    async def recall(self, offset: int | None = None) -> Cursor | None:
        """The newest record that Redis holds, or the one at an offset; None where it holds none. Raises OSError."""
        if not self._settings.redis_host:
            return None
        try:
            async with self._connect() as client:
                return await RedisSequence(client, self._settings.topic).cursor(offset)
        except RedisError as error:
            raise OSError(str(error)) from error

    @property
    def sequence(self) -> RedisSequence | None:
        """The sequence of the newest records; None while Redis does not answer."""
        return self._sequence if self.state == "ok" else None

    async def run(self) -> None:
        """Write for ever."""
        if not self._settings.redis_host:
            return
        while True:
            self._leads = False
            try:
                async with self._connect() as self._client:
                    await self._client.ping()
                    self._sequence = sequence = RedisSequence(self._client, self._settings.topic)
                    self._set("ok")
                    await self._serve(sequence)
            except (RedisError, OSError) as error:
                self._set("unavailable", str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    def _set(self, state: str, detail: str = "") -> None:
        if state != self.state:
            logger.log(logging.INFO if state == "ok" else logging.WARNING, "redis: %s %s", state, detail)
        self.state = state

    async def _serve(self, sequence: RedisSequence) -> None:
        """Write while this replica has the lease; it asks for that again and again."""
        loop, looked = asyncio.get_running_loop(), -_LOOK_SECONDS
        while True:
            if loop.time() >= looked + _LOOK_SECONDS:
                looked = loop.time()
                self._leads, newest = await sequence.lead(self._name, _LEASE_SECONDS)
                if not self._leads:
                    self._pass(newest)
            if not self._leads:
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                await self._gather(looked + _LOOK_SECONDS - loop.time())
                await self._write(sequence)

    def _pass(self, newest: bytes) -> None:
        """Drop what the writer has written: up to this mark, unless another record has that offset here."""
        held = int(newest.partition(b"-")[0] or -1)
        last = self._pending[-1].offset if self._pending else -1
        if held <= last and not any(mark(offer.offset, offer.entry) == newest for offer in self._pending):
            return
        while self._pending and self._pending[0].offset <= held:
            self._drop()

    async def _gather(self, seconds: float) -> None:
        """Wait for records until that time is over, and a little for those that come after the first."""
        if not self._pending:
            self._offered.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._offered.wait()
        if 0 < len(self._pending) < _BATCH:
            await asyncio.sleep(_LINGER_SECONDS)

    async def _write(self, sequence: RedisSequence) -> None:
        batch, size = list[_Offer](), 0
        for offer in islice(self._pending, _BATCH):
            batch.append(offer)
            size += len(offer.entry.frame or b"")
            if size > _BATCH_BYTES:
                break
        await self._append(sequence, batch)
        for offer in batch:
            if self._pending and self._pending[0] is offer:  # otherwise it was dropped meanwhile
                self._drop()

    async def _append(self, sequence: RedisSequence, batch: list[_Offer]) -> None:
        settings = self._settings
        run: list[bytes] = []
        capacity = Capacity(settings.sequence_events, settings.sequence_bytes, settings.retention_seconds)
        for index, offer in enumerate(batch):
            run.append(pack(offer.offset, offer.entry))
            if (
                index + 1 == len(batch) or batch[index + 1].offset != offer.offset + 1
            ):  # the log has changed between the two
                first = batch[index + 1 - len(run)]
                previous = b"" if first.previous is None else mark(first.offset - 1, first.previous)
                await sequence.append(previous, run, capacity, int(time.time() * 1000))
                run = []
