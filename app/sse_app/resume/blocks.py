"""Records that the ring no longer holds, in blocks that all resumes share: from Redis where possible, or the log.

A block begins with the record before it, so that every step of a resume is checked like the first one: by the
fingerprint of the record at its cursor. A block of the log counts only if the log still holds the last record that this
replica has read. Only then do the decisions of this replica on duplicates hold for the block too.
"""

import asyncio
import logging
import sys
from collections import OrderedDict
from collections.abc import Callable, Container
from functools import partial
from typing import Literal, NamedTuple

from redis import RedisError, ResponseError

from sse_app.base.channels import Filter
from sse_app.base.outcomes import GapReason
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry, Ring, entry
from sse_app.log.cursor import Cursor
from sse_app.log.interface import Bounds, Log, LogUnavailableError, OutOfRangeError, Record
from sse_app.resume.redis_history import RedisHistory
from sse_app.resume.redis_sequence import unpack

_BLOCK = 1000  # records; no block crosses a multiple, so that resumes from different cursors share blocks
_READ = 4 * _BLOCK  # records per reading of the log: about 1 MB, as much as it gives in one answer
_CACHE_BYTES = 16 * 2**20  # of blocks, for readers that are about equally far behind
_DECISIONS = 64  # that are kept, each of as many records as a window holds: most have few duplicates
_RECORD_BYTES = 300  # of memory, which a record takes beside its frame
_REDIS_SECONDS = 0.5  # for an answer; after a late one Redis is not asked for _REST_SECONDS
_REST_SECONDS = 5.0
logger = logging.getLogger(__name__)


class GapError(Exception):
    """No stream can go on from this cursor."""

    def __init__(self, reason: GapReason) -> None:
        self.reason: GapReason = reason


class Block(NamedTuple):
    """Consecutive records and where they came from; from `first` on it is known which of them are duplicates."""

    records: Ring
    source: Literal["redis", "log"]
    first: int


Fits = Callable[[Block, Cursor], bool]


class Decisions(NamedTuple):
    """Which of the records [since, stop) are duplicates; those before `since` have no complete window."""

    since: int
    stop: int
    dropped: Container[int]


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
        self._decisions: OrderedDict[int, Decisions] = OrderedDict()  # by number, where the feed does not know
        self._generation = -1  # of the ring, to which the blocks belong
        self._rested = 0.0  # until then, by the clock of the loop, Redis is not asked

    async def collect(self, cursor: Cursor, wanted: Filter, limit: int) -> tuple[bytes, Entry]:
        """About `limit` bytes of frames after the cursor, and the last record that they pass; raises like find()."""
        records = (await self.find(cursor)).records
        stop, frames = cursor.offset + 1, b""
        last = records.at(cursor.offset)
        while not frames and stop < records.end and (last is None or last.cut is None or last.cursor == cursor):
            frames, stop = records.collect(stop, records.end, wanted, limit)
            last = records.at(stop - 1)
        if last is None:
            raise LogUnavailableError("the log has changed")
        return frames, last

    async def find(self, cursor: Cursor) -> Block:
        """The block that holds the cursor and the records after it.

        Raises GapError where the log does not hold the cursor, LogUnavailableError where that is not known now.
        """
        async with self._lock:
            self._renew()
            number = (cursor.offset + 1) // _BLOCK
            for block in self._blocks.get(number, ()):
                if _holds(block, cursor):
                    self._blocks.move_to_end(number)
                    return block
            block = await self._from_redis(cursor, number, _holds) or await self._from_log(cursor, number)
            self._check()
            return block

    async def back(self, link: Cursor) -> Block | None:
        """The block that holds the record `link` and records before it; None where the service can give none of them.

        Raises LogUnavailableError where the log does not answer, or no longer holds that record.
        """
        async with self._lock:
            self._renew()
            number = link.offset // _BLOCK
            for block in self._blocks.get(number, ()):
                if _leads_to(block, link):
                    self._blocks.move_to_end(number)
                    return block
            block = await self._from_redis(link, number, _leads_to) or await self._back_from_log(link, number)
            self._check()
            return block

    async def earliest(self) -> Entry:
        """The first record that the service can give. Raises LogUnavailableError."""
        async with self._lock:
            self._renew()
            bounds = await self._log.bounds()
            since, stop, dropped = bounds.start, -1, ()
            while stop <= since:
                if since >= bounds.end:  # the log is shorter than a window: what this replica holds has a whole one
                    oldest = self._hub.ring.at(self._hub.ring.start)
                    if oldest is None:
                        raise LogUnavailableError("this replica is not ready")
                    return oldest
                first, stop, dropped = await self._decided(since, bounds)
                since = max(since, first)
            record = await self._one(since)
            self._check()
            return entry(record, record.offset in dropped)

    async def before(self, offset: int) -> Cursor | None:
        """The record before an offset; None where the log skips the offset before it. Raises LogUnavailableError."""
        async with self._lock:
            record = await self._one(offset - 1)
            return Cursor(record.offset, record.fingerprint) if record.offset < offset else None

    async def _one(self, offset: int) -> Record:
        try:
            records = await self._log.read(offset, 1)
        except OutOfRangeError as error:
            raise LogUnavailableError("the log has changed") from error
        await self._feed.check_log()
        if not records:
            raise LogUnavailableError("the log has changed")
        return records[0]

    def _renew(self) -> None:
        if self._generation != self._hub.generation:
            self._blocks.clear()
            self._decisions.clear()
            self._generation, self._bytes = self._hub.generation, 0

    def _check(self) -> None:
        if self._generation != self._hub.generation:
            raise LogUnavailableError("the log has changed")

    def _keep(self, number: int, block: Block) -> None:
        self._blocks.setdefault(number, []).append(block)
        self._bytes += _size(block)
        while self._bytes > _CACHE_BYTES and len(self._blocks) > 1:
            self._bytes -= sum(map(_size, self._blocks.popitem(last=False)[1]))

    # --- Redis

    async def _from_redis(self, cursor: Cursor, number: int, fits: Fits) -> Block | None:
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
            begin = number * _BLOCK
            block = Block(records, "redis", max(records.start, begin))
            if fits(block, cursor):
                self._keep(number, block)
                return block
        return None

    # --- the log

    async def _from_log(self, cursor: Cursor, number: int) -> Block:
        bounds = await self._log.bounds()
        if not bounds.start <= cursor.offset < bounds.end:
            raise GapError("expired" if cursor.offset < bounds.start else "truncated")
        try:
            decided = await self._decided(cursor.offset + 1, bounds)
            if decided.since > cursor.offset + 1:
                raise GapError("expired")
            first = max(number * _BLOCK, decided.since, bounds.start + 1) - 1
            for begin in (first, cursor.offset):
                stop = (begin + 1) // _BLOCK * _BLOCK + _READ
                block = await self._read(begin, stop, decided, partial(_holds, cursor=cursor))
                if block is not None:
                    return block
        except OutOfRangeError as error:
            raise GapError("expired") from error  # retention was faster
        raise GapError("truncated")

    async def _back_from_log(self, link: Cursor, number: int) -> Block | None:
        bounds = await self._log.bounds()
        if link.offset <= bounds.start:
            return None
        decided = await self._decided(link.offset, bounds)
        if decided.since > link.offset:
            return None
        size = self._decided_at_once
        lowest = 0 if decided.stop == sys.maxsize else link.offset // size * size
        newest = (number + 1) * _BLOCK
        begin = max(newest - _READ // _BLOCK * _BLOCK, lowest, decided.since, bounds.start + 1) - 1
        try:
            block = await self._read(begin, newest, decided, partial(_leads_to, link=link))
        except OutOfRangeError as error:
            raise LogUnavailableError("the log has changed") from error
        if block is None:
            raise LogUnavailableError("the log has changed")
        return block

    async def _read(self, begin: int, stop: int, decided: Decisions, wanted: Callable[[Block], bool]) -> Block | None:
        """Keep every whole block of one reading; return the one that is wanted."""
        stop = min(stop // _BLOCK * _BLOCK, decided.stop)
        if stop <= begin + 1:
            raise LogUnavailableError("the log ends there")
        records = await self._log.read(begin, stop - begin)
        await self._feed.check_log()
        found: Block | None = None
        part = Ring.unbounded()
        for position, record in enumerate(records, 1):
            part.append(entry(record, record.offset in decided.dropped))
            whole = (record.offset + 1) % _BLOCK == 0
            if len(part) > 1 and (whole or position == len(records)):
                number = (part.start + 1) // _BLOCK
                block = Block(part, "log", max(part.start, number * _BLOCK, decided.since))
                if wanted(block):
                    found = block
                if whole or found is block:
                    self._keep(number, block)
                part = Ring.unbounded()
                part.append(block.records.slice(block.records.end - 1, block.records.end)[0])
        return found

    # --- duplicates

    @property
    def _decided_at_once(self) -> int:
        """As many records as a window holds, in whole blocks: to decide them, twice as many are read."""
        return -(-self._feed.window.size // _BLOCK) * _BLOCK

    async def _decided(self, offset: int, bounds: Bounds) -> Decisions:
        """What is known about duplicates around an offset; where nothing is, find out."""
        dropped = self._feed.dropped
        if dropped.since <= offset:
            return Decisions(dropped.since, sys.maxsize, dropped)
        size = self._decided_at_once
        number = offset // size
        known = self._decisions.get(number)
        if known is None or offset >= known.stop:
            known = self._decisions[number] = await self._decide(number * size, (number + 1) * size, bounds)
        self._decisions.move_to_end(number)
        while len(self._decisions) > _DECISIONS:
            self._decisions.popitem(last=False)
        return known

    async def _decide(self, start: int, stop: int, bounds: Bounds) -> Decisions:
        """Find the duplicates of [start, stop) by reading a whole window before them, too."""
        window, found = self._feed.window.empty(), set[int]()
        stop = min(stop, bounds.end)
        position, since = max(bounds.start, start - window.size), stop
        while position < stop:
            records = await self._log.read(position, min(_READ, stop - position))
            if not records:
                raise LogUnavailableError("the log has changed")
            for record in records:
                if window.admit(record) is not None and record.offset >= start:
                    found.add(record.offset)
                if window.complete and since == stop:
                    since = max(start, record.offset)
            position = records[-1].offset + 1
        await self._feed.check_log()
        self._check()
        return Decisions(since, stop, frozenset(found))


def _holds(block: Block, cursor: Cursor) -> bool:
    held = block.records.at(cursor.offset)
    return held is not None and held.cursor == cursor and cursor.offset + 1 < block.records.end


def _leads_to(block: Block, link: Cursor) -> bool:
    held = block.records.at(link.offset)
    return held is not None and held.cursor == link and block.records.start < link.offset


def _size(block: Block) -> int:
    return block.records.bytes + len(block.records) * _RECORD_BYTES
