"""Records that the ring no longer holds, in blocks that all resumes share: from Redis where possible, or the log.

A block begins with the record before it, so that every step of a resume is checked like the first one: by the
fingerprint of the record at its cursor. A block of the log counts only if the log still holds the last record that this
replica has read. Only then do the decisions of this replica on duplicates hold for the block too.
"""

import asyncio
import logging
from array import array
from collections import OrderedDict
from typing import Literal, NamedTuple

from redis import RedisError, ResponseError

from sse_app.base.channels import Filter
from sse_app.base.outcomes import GapReason
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Ring, entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Bounds, Log, LogUnavailableError, OutOfRangeError
from sse_app.resume.redis_history import RedisHistory
from sse_app.resume.redis_sequence import unpack

_BLOCK = 1000  # records; no block crosses a multiple, so that resumes from different cursors share blocks
_READ = 4 * _BLOCK  # records per reading of the log: about 1 MB, as much as it gives in one answer
_CACHE_BYTES = 16 * 2**20  # of blocks, for readers that are about equally far behind
_RECORD_BYTES = 300  # of memory, which a record takes beside its frame
_REDIS_SECONDS = 0.5  # for an answer; after a late one Redis is not asked for _REST_SECONDS
_REST_SECONDS = 5.0
logger = logging.getLogger(__name__)


class GapError(Exception):
    """No stream can go on from this cursor."""

    def __init__(self, reason: GapReason) -> None:
        self.reason: GapReason = reason


class Block(NamedTuple):
    """Consecutive records and where they came from."""

    records: Ring
    source: Literal["redis", "log"]


class Blocks:
    """One reading at a time serves every resume that waits for it."""

    def __init__(self, log: Log, feed: Feed, hub: Hub, redis_history: RedisHistory) -> None:
        self._log = log
        self._feed = feed
        self._hub = hub
        self._redis_history = redis_history
        self._lock = asyncio.Lock()
        self._blocks: OrderedDict[int, list[Block]] = OrderedDict()  # by number, the most recently used last
        self._bytes = 0
        self._generation = -1  # of the ring, to which the blocks belong
        self._rested = 0.0  # until then, by the clock of the loop, Redis is not asked

    async def collect(self, cursor: Cursor, wanted: Filter, limit: int) -> tuple[bytes, Cursor]:
        """About `limit` bytes of frames that follow the cursor, and the cursor to go on from; raises like find()."""
        records = (await self.find(cursor)).records
        stop, frames = cursor.offset + 1, b""
        while not frames and stop < records.end:
            frames, stop = records.collect(stop, records.end, wanted, limit)
        last = records.at(stop - 1)
        return frames, cursor if last is None else last.cursor

    async def find(self, cursor: Cursor) -> Block:
        """The block that holds the cursor and the records after it.

        Raises GapError where the log does not hold the cursor, LogUnavailableError where that is not known now.
        """
        async with self._lock:
            if self._generation != self._hub.generation:
                self._blocks.clear()
                self._generation, self._bytes = self._hub.generation, 0
            number = (cursor.offset + 1) // _BLOCK
            for block in self._blocks.get(number, ()):
                if _holds(block, cursor):
                    self._blocks.move_to_end(number)
                    return block
            block = await self._from_redis(cursor, number) or await self._from_log(cursor, number)
            if self._generation != self._hub.generation:
                raise LogUnavailableError("the log has changed")
            return block

    def _keep(self, number: int, block: Block) -> None:
        self._blocks.setdefault(number, []).append(block)
        self._bytes += _size(block)
        while self._bytes > _CACHE_BYTES and len(self._blocks) > 1:
            self._bytes -= sum(map(_size, self._blocks.popitem(last=False)[1]))

    # --- Redis

    async def _from_redis(self, cursor: Cursor, number: int) -> Block | None:
        loop, ring = asyncio.get_running_loop(), self._hub.ring
        sequence = self._redis_history.sequence
        if sequence is None or loop.time() < self._rested:
            return None
        oldest = ring.at(ring.start)
        if oldest is None or oldest.cursor.offset < ring.start:  # an offset that the log skips has no fingerprint
            return None
        link = oldest.cursor
        stop = min((number + 1) * _BLOCK, link.offset + 1)
        for first in (number * _BLOCK - 1, cursor.offset):  # the second where the first answer ends too early
            try:
                async with asyncio.timeout(_REDIS_SECONDS):
                    found = await sequence.range(first, cursor.offset, stop - 1, link.offset)
            except ResponseError:  # another program has written to the key
                return None
            except (RedisError, OSError, TimeoutError):
                self._rested = loop.time() + _REST_SECONDS
                return None
            records = unpack(found, link)
            if records is None:
                return None
            block = Block(records, "redis")
            if _holds(block, cursor):
                self._keep(number, block)
                return block
        return None

    # --- the log

    async def _from_log(self, cursor: Cursor, number: int) -> Block:
        bounds = await self._log.bounds()
        if not bounds.start <= cursor.offset < bounds.end:
            raise GapError("expired" if cursor.offset < bounds.start else "truncated")
        dropped = self._feed.dropped
        try:
            if dropped.since > cursor.offset + 1:
                await self._decide(cursor.offset + 1, bounds)
            first = max(number * _BLOCK, dropped.since, bounds.start + 1) - 1
            for begin in (first, cursor.offset):
                block = await self._read(begin, cursor)
                if block is not None:
                    return block
        except OutOfRangeError as error:
            raise GapError("expired") from error  # retention was faster
        raise GapError("truncated")

    async def _read(self, begin: int, cursor: Cursor) -> Block | None:
        """Keep every whole block of one reading; return the one that holds the cursor."""
        records = await self._log.read(begin, (begin + 1) // _BLOCK * _BLOCK + _READ - begin)
        await self._feed.check_log()
        wanted: Block | None = None
        part = Ring.unbounded()
        for position, record in enumerate(records, 1):
            part.append(entry(record, record.offset in self._feed.dropped))
            whole = (record.offset + 1) % _BLOCK == 0
            if len(part) > 1 and (whole or position == len(records)):
                block = Block(part, "log")
                if _holds(block, cursor):
                    wanted = block
                if whole or wanted is block:
                    self._keep((part.start + 1) // _BLOCK, block)
                part = Ring.unbounded()
                part.append(block.records.slice(block.records.end - 1, block.records.end)[0])
        return wanted

    async def _decide(self, offset: int, bounds: Bounds) -> None:
        """Find the duplicates from `offset` on, and from a little before it, so that this is rarely needed again."""
        window, dropped = self._feed.window.empty(), self._feed.dropped
        position = max(bounds.start, offset - offset % window.size - window.size)
        since, found, stop = dropped.since, array("q"), dropped.since
        while position < stop:
            records = await self._log.read(position, min(_READ, stop - position))
            if not records:
                raise LogUnavailableError("the log has changed")
            for record in records:
                if window.admit(record) is not None:
                    found.append(record.offset)
                if window.complete and since == stop:
                    since = record.offset
                    found = found[-1:] if found and found[-1] == since else array("q")
            position = records[-1].offset + 1
        await self._feed.check_log()
        if dropped.since != stop or self._generation != self._hub.generation:
            raise LogUnavailableError("the log has changed")
        if since < stop:
            dropped.extend(since, found)
        if since > offset:
            raise GapError("expired")


def _holds(block: Block, cursor: Cursor) -> bool:
    held = block.records.at(cursor.offset)
    return held is not None and held.cursor == cursor and cursor.offset + 1 < block.records.end


def _size(block: Block) -> int:
    return block.records.bytes + len(block.records) * _RECORD_BYTES
