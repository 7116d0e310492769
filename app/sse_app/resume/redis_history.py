"""The Redis history: the newest events of each channel, for /history, and of all channels as one sequence, for resumes.

It is a convenience and an accelerator. It never takes part in a live delivery, and the ring and the log alone are the
truth. Every replica writes the same, so that they agree without speaking to each other. While Redis is away, records
beyond a bound are dropped.
"""

import asyncio
import json
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
from sse_app.log.interface import Draft
from sse_app.resume.redis_sequence import Capacity, RedisSequence, mark, pack

_PENDING = 10_000  # records that wait for a Redis that is slow or away
_PENDING_BYTES = 8 * 2**20  # of their frames
_BATCH = 200  # records per round trip
_BATCH_BYTES = 2**19  # of their frames: about 2 ms of Redis' time
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 2.0  # a Redis that takes longer counts as away
# The newest members of a channel, the newest first: KEYS[1]; how many, their bytes, and an offset or "+inf" above them.
_PAGE = """
local last = redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[3]) - 1
local found, size = {}, 0
for rank = last, math.max(0, last - ARGV[1] + 1), -1 do
  local member = redis.call('ZRANGE', KEYS[1], rank, rank)[1]
  size = size + #member
  if size > tonumber(ARGV[2]) and #found > 0 then break end
  found[#found + 1] = member
end
return found
"""
_QUIET_SECONDS = 5.0  # after this time without a write Redis is asked whether it is alive
logger = logging.getLogger(__name__)


class _Offer(NamedTuple):
    offset: int
    entry: Entry
    previous: bytes  # the mark of the record before
    draft: Draft


class RedisHistory:
    """Writes in the background; without a Redis it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pending: deque[_Offer] = deque()
        self._pending_bytes = 0
        self._offered = asyncio.Event()
        self._forget = False
        self._connect = partial(connect, settings, _ANSWER_SECONDS)
        self._client: Any = None  # see connect()
        self._sequence: RedisSequence | None = None
        self.state = "unavailable" if settings.redis_host else "disabled"

    def offer(self, ring: Ring, start: int, draft: Draft) -> None:
        """Take what the ring holds from `start` on, whose last record is the draft; never wait."""
        if not self._settings.redis_host:
            return
        for offset in range(start, ring.end):
            entry, previous = ring.at(offset), ring.at(offset - 1)
            if entry is not None:
                before = b"" if previous is None else mark(offset - 1, previous)
                self._pending.append(_Offer(offset, entry, before, draft))
                self._pending_bytes += len(entry.frame or b"")
        while len(self._pending) > _PENDING or self._pending_bytes > _PENDING_BYTES:
            self._drop()
        self._offered.set()

    def _drop(self) -> None:
        self._pending_bytes -= len(self._pending.popleft().entry.frame or b"")

    def forget(self) -> None:
        """Drop everything: the log has other records now."""
        self._pending.clear()
        self._pending_bytes = 0
        self._forget = True
        self._offered.set()

    @property
    def sequence(self) -> RedisSequence | None:
        """The sequence of the newest records; None while Redis does not answer."""
        return self._sequence if self.state == "ok" else None

    async def read(self, channel: str, limit: int, size: int, before: int | None) -> list[dict[str, str]] | None:
        """The newest events of a channel, oldest first; None while Redis does not answer.

        :param size: of their text together, in bytes; one event is given where even that takes more
        :param before: an offset; only events below it are given
        """
        if self.state != "ok":
            return None
        below = "+inf" if before is None else f"({before}"
        try:
            members = await self._client.eval(_PAGE, 1, self._key(channel), limit, size, below)
        except (RedisError, OSError):
            return None
        return [json.loads(member) for member in reversed(members)]

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
        if self._forget:
            async for key in self._client.scan_iter(match=self._key("*"), count=1000):
                await self._client.delete(key)
            self._forget = False
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
        pipeline = self._client.pipeline(transaction=False)
        for _, entry, _, draft in batch:
            if entry.frame is not None:
                key = self._key(entry.channel)
                pipeline.zadd(key, {_member(entry, draft): entry.cursor.offset})
                pipeline.zremrangebyrank(key, 0, -settings.history_events - 1)
                pipeline.expire(key, settings.retention_seconds)
        if pipeline.command_stack:
            await pipeline.execute()
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

    def _key(self, channel: str) -> str:
        return f"{self._settings.topic}:history:{channel}"


def _member(entry: Entry, draft: Draft) -> str:
    member = {"id": str(entry.cursor), "event": draft.event, "data": draft.data.decode()}
    if draft.traceparent:
        member["traceparent"] = draft.traceparent
    return json.dumps(member, ensure_ascii=False)
