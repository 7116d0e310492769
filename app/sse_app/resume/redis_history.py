"""The Redis history: the newest records of all channels as one sequence, for resumes and pages of history.

It is a convenience and an accelerator. It never takes part in a live delivery, and the ring and the log alone are the
truth. Every replica writes the same, so that they agree without speaking to each other. While Redis is away, records
beyond a bound are dropped.
"""

import asyncio
import logging
import time
from collections import deque
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

from redis import RedisError

from sse_app.base.redis_client import connect
from sse_app.base.settings import Settings
from sse_app.fanout.ring import Entry, Ring
from sse_app.resume.redis_sequence import Capacity, RedisSequence, mark, pack

_PENDING = 10_000  # records that wait for a Redis that is slow or away
_PENDING_BYTES = 8 * 2**20  # of their frames
_BATCH = 200  # records per round trip
_BATCH_BYTES = 2**19  # of their frames: about 2 ms of Redis' time
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 2.0  # a Redis that takes longer counts as away
_QUIET_SECONDS = 5.0  # after this time without a write Redis is asked whether it is alive
logger = logging.getLogger(__name__)


class _Offer(NamedTuple):
    offset: int
    entry: Entry
    previous: bytes  # the mark of the record before


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
        self.state = "unavailable" if settings.redis_host else "disabled"

    def offer(self, ring: Ring, start: int) -> None:
        """Take what the ring holds from `start` on; never wait."""
        if not self._settings.redis_host:
            return
        for offset in range(start, ring.end):
            entry, previous = ring.at(offset), ring.at(offset - 1)
            if entry is not None:
                before = b"" if previous is None else mark(offset - 1, previous)
                self._pending.append(_Offer(offset, entry, before))
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

    @property
    def sequence(self) -> RedisSequence | None:
        """The sequence of the newest records; None while Redis does not answer."""
        return self._sequence if self.state == "ok" else None

    async def run(self) -> None:
        """Write for ever."""
        if not self._settings.redis_host:
            return
        while True:
            try:
                async with self._connect() as self._client:
                    await self._client.ping()
                    self._sequence = sequence = RedisSequence(self._client, self._settings.topic)
                    self._set("ok")
                    while True:
                        await self._write(sequence)
            except (RedisError, OSError) as error:
                self._set("unavailable", str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    def _set(self, state: str, detail: str = "") -> None:
        if state != self.state:
            logger.log(logging.INFO if state == "ok" else logging.WARNING, "redis: %s %s", state, detail)
        self.state = state

    async def _write(self, sequence: RedisSequence) -> None:
        self._offered.clear()
        if not self._pending:
            try:
                async with asyncio.timeout(_QUIET_SECONDS):
                    await self._offered.wait()
            except TimeoutError:
                await self._client.ping()
            return
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
                previous = batch[index + 1 - len(run)].previous
                await sequence.append(previous, run, capacity, int(time.time() * 1000))
                run = []
