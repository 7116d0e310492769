"""Fan-out: every live subscriber gets each matching record, encoded once per distinct filter, written directly.

No queue per subscriber. A live subscriber has been given everything below `position`; one that falls behind leaves the
live set with a cursor of its own and replays from the ring (see stream.py). Sweeps, heartbeats and rewinds exclude each
other by one lock, so at any boundary all live subscribers stand at the same position.
"""

from __future__ import annotations

import asyncio
import random
import time
from array import array
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import get_args

from sse_app.base import event
from sse_app.base.channels import Filter, prefixes_of
from sse_app.base.metrics import Metrics
from sse_app.fanout.ring import Entry, Ring
from sse_app.fanout.socket_writer import CLOSED, Wire, send

SWEEP_RECORDS = 256  # and SWEEP_BYTES bound what one sweep adds to a transport's buffer
SWEEP_BYTES = 131_072
SWEEP_WRITES = 500  # some 4 ms of writes before publishers and new streams get their turn


class Subscriber:
    """One stream: where to write, what it wants, and how far it has come."""

    __slots__ = (
        "cursor",
        "ending",
        "group",
        "heartbeat",
        "live",
        "lost",
        "paused",
        "place",
        "reason",
        "slot",
        "waiter",
        "wanted",
        "wire",
    )

    def __init__(self, wanted: Filter, cursor: int, heartbeat: event.Heartbeat) -> None:
        self.wanted = wanted
        self.cursor = cursor  # last offset considered; while live see Hub.considered()
        self.heartbeat: event.Heartbeat = heartbeat
        self.wire: Wire | None = None  # None: never live, see stream.py
        self.group: Group | None = None
        self.place = -1  # in the group's order, see there
        self.slot = 0
        self.live = False
        self.paused = False  # the transport holds more than it should
        self.lost = False  # the connection is gone
        self.ending = False
        self.reason = ""  # of the end, as `bye` tells it; empty: no bye
        self.waiter: asyncio.Future[None] | None = None

    def notify(self) -> None:
        """Wake the stream's own task."""
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def notified(self) -> asyncio.Future[None]:
        """What notify() completes next."""
        self.waiter = asyncio.get_running_loop().create_future()
        return self.waiter

    async def wait(self, seconds: float | None = None) -> bool:
        """Wait for notify(); False when the time is over."""
        try:
            async with asyncio.timeout(seconds):
                await self.notified()
        except TimeoutError:
            return False
        return True

    def end(self, reason: str = "") -> None:
        """Have the stream end itself, saying bye where a reason is given."""
        if not self.ending:  # the first reason stands: after a change of the log no id may be sent with a bye
            self.ending, self.reason = True, reason
        self.notify()

    def pause(self) -> None:
        """The transport's buffer is over its limit."""
        self.paused = True

    def resume(self) -> None:
        """The transport's buffer is nearly empty again."""
        self.paused = False
        self.notify()

    def lose(self) -> None:
        """The connection is gone."""
        self.lost = True
        if self.wire is not None:
            self.wire.close()
        if self.group is not None:
            self.group.note(self)
        self.notify()


class Group:
    """Live subscribers with equal filters."""

    __slots__ = ("descriptors", "done", "frames", "last", "members", "order", "sweeping", "wanted")

    def __init__(self, wanted: Filter) -> None:
        self.wanted = wanted
        self.members: dict[Subscriber, None] = {}
        self.order: list[Subscriber] | None = None  # as they are swept, each at its place; None: not made yet
        self.descriptors = array("i")  # in that order: a sweep of these touches nothing else of a subscriber
        self.frames: list[bytes] = []
        self.last: Entry | None = None  # whose frame is the newest, so that two matching patterns give one copy
        self.sweeping: int | None = None  # where the running sweep began, if it touches this group
        self.done = 0  # places that it has come past

    def changed(self) -> None:
        """A member has come or gone."""
        self.order = None

    def note(self, subscriber: Subscriber) -> None:
        """See whether a member may still be written to by its descriptor."""
        if self.order is not None and subscriber.wire is not None:
            self.descriptors[subscriber.place] = subscriber.wire.direct

    def ordered(self) -> list[Subscriber]:
        """The members in the order of a sweep."""
        if self.order is None:
            self.order = list(self.members)
            self.descriptors = array("i", [CLOSED]) * len(self.order)
            for place, subscriber in enumerate(self.order):
                subscriber.place = place
                self.note(subscriber)
        return self.order


class Hub:
    """All streams of this replica."""

    def __init__(self, ring: Ring, metrics: Metrics, heartbeat_seconds: int) -> None:
        self.ring = ring
        self.position = 0  # everything below has been given to every live subscriber that wants it
        self.open = False  # streams are served: the ring stands, its head names a real record
        self.draining = False
        self.history = 0  # changes whenever the ring is rebuilt: a cursor checked before means nothing after
        self.streams: set[Subscriber] = set()
        self._metrics = metrics
        self._groups: dict[Filter, Group] = {}
        self._by_exact: dict[str, dict[Group, None]] = {}
        self._by_prefix: dict[str, dict[Group, None]] = {}
        self._wheel: list[dict[Subscriber, None]] = [{} for _ in range(heartbeat_seconds)]
        self._hand = 0
        self._lock = asyncio.Lock()
        self._wake = asyncio.Event()
        self._moved: asyncio.Future[None] | None = None
        self._empty = asyncio.Event()
        self._empty.set()

    # --- membership

    def add(self, subscriber: Subscriber, history: int) -> None:
        """Count a stream in whose cursor was checked in `history`; it gets heartbeats from now on."""
        self.streams.add(subscriber)
        self._empty.clear()
        # one hand position behind now: the first heartbeat comes a whole turn later
        subscriber.slot = self._hand - 1 if self._hand else len(self._wheel) - 1
        self._wheel[subscriber.slot][subscriber] = None
        if self.draining or history != self.history:  # meanwhile
            subscriber.end("draining" if self.draining else "")

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a stream."""
        self.leave(subscriber)
        self.streams.discard(subscriber)
        self._wheel[subscriber.slot].pop(subscriber, None)
        if not self.streams:
            self._empty.set()

    def join(self, subscriber: Subscriber) -> None:
        """Make a subscriber live that has considered everything below `position`."""
        wanted = subscriber.wanted
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = Group(wanted)
            for index, keys in ((self._by_exact, wanted.exact), (self._by_prefix, wanted.prefixes)):
                for key in keys:
                    index.setdefault(key, {})[group] = None
        group.members[subscriber] = None
        group.changed()
        subscriber.place = -1  # in no sweep that has begun
        subscriber.wanted = group.wanted  # one object for all equal filters
        subscriber.group, subscriber.live, subscriber.cursor = group, True, self.position - 1

    def leave(self, subscriber: Subscriber) -> None:
        """End being live; the cursor says how far the subscriber has come."""
        group = subscriber.group
        if group is None:
            return
        subscriber.cursor = self.considered(subscriber)
        subscriber.live, subscriber.group, subscriber.place = False, None, -1
        del group.members[subscriber]
        group.changed()
        if not group.members and self._groups.get(group.wanted) is group:
            del self._groups[group.wanted]
            for index, keys in ((self._by_exact, group.wanted.exact), (self._by_prefix, group.wanted.prefixes)):
                for key in keys:
                    index[key].pop(group)
                    if not index[key]:
                        del index[key]

    def considered(self, subscriber: Subscriber) -> int:
        """Last offset considered for a subscriber and handed to its transport."""
        group = subscriber.group
        if group is None:
            return subscriber.cursor
        if group.sweeping is not None and subscriber.place >= group.done:
            return group.sweeping - 1  # the running sweep has not come to it yet
        return self.position - 1

    def id_at(self, offset: int) -> str | None:
        """The id of a record in the ring."""
        held = self.ring.at(offset)
        return None if held is None else str(held.cursor)

    def _write(self, subscriber: Subscriber, wire: Wire, data: bytes) -> bool:
        """Write to one, and see to a refusal: uvloop has closed the transport before it tells that it is lost.

        Left to end a sweep, those behind would miss the event, and a heartbeat would tell them that they had it.
        """
        try:
            wire.write(data)
        except RuntimeError:
            self.leave(subscriber)
            subscriber.lose()
            return False
        if subscriber.group is not None:
            subscriber.group.note(subscriber)
        return True

    # --- delivery

    def notify(self) -> None:
        """The ring has grown."""
        self._wake.set()

    def moved(self) -> asyncio.Future[None]:
        """What the next sweep completes; shared, so wait for it by asyncio.wait(), which does not cancel it."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        return self._moved

    async def run(self) -> None:
        """Sweep whenever there is something; what arrives during a sweep goes out together in the next."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            async with self._lock:
                while self.open and self.position < self.ring.end:
                    await self._sweep()

    def _groups_for(self, channel: str) -> Iterator[Group]:
        yield from self._by_exact.get(channel, ())
        if self._by_prefix:
            for prefix in prefixes_of(channel):
                yield from self._by_prefix.get(prefix, ())

    async def _sweep(self) -> None:
        begin = stop = self.position
        touched: list[Group] = []
        timestamps: list[int] = []  # of the events that somebody gets
        size = 0
        for entry in self.ring.slice(begin, min(self.ring.end, begin + SWEEP_RECORDS)):
            stop += 1
            if entry.frame is None:
                continue
            wanted = False
            for group in self._groups_for(entry.channel):
                if group.last is entry:
                    continue
                group.last = entry
                if not group.frames:
                    touched.append(group)
                group.frames.append(entry.traced() if group.wanted.traced else entry.frame)
                wanted = True
            if wanted:
                timestamps.append(entry.timestamp)
                size += len(entry.frame)
                if size >= SWEEP_BYTES:
                    break
        # Orders before the first pause: who joins from here on has considered everything below `stop` already.
        work = [(group, group.ordered(), len(group.frames), chunk(b"".join(group.frames))) for group in touched]
        for group in touched:
            group.frames, group.last, group.sweeping, group.done = [], None, begin, 0
        self.position = stop
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None
        writes = turns = 0
        for group, order, frames, encoded in work:
            given = 0
            for place, descriptor in enumerate(group.descriptors):
                sent = 0
                if descriptor != CLOSED and group.order is order:  # else somebody came or went during a pause
                    sent = send(descriptor, encoded)
                given += sent == len(encoded) or self._give(order[place], place, encoded, sent)
                turns += 1
                if not turns % SWEEP_WRITES:
                    group.done = place + 1
                    await asyncio.sleep(0)
            group.sweeping = None
            self._metrics.deliveries += frames * given
            writes += given
        self.ring.trim(stop - 1)
        self._metrics.writes += writes
        now = time.time()
        for timestamp in timestamps:
            self._metrics.latency.observe(max(0.0, now - timestamp / 1000))

    def _give(self, subscriber: Subscriber, place: int, data: bytes, sent: int) -> bool:
        """Write what its socket did not take, or what only its wire may write; whether it was given."""
        wire = subscriber.wire
        if subscriber.place != place:
            return False  # it has left, and has come anew perhaps
        if wire is None or subscriber.paused:
            self.leave(subscriber)
            subscriber.notify()
            return False
        return self._write(subscriber, wire, data[sent:])

    async def beat(self) -> None:
        """Once a second, heartbeat one slot of the wheel."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due += 1
            await asyncio.sleep(max(0.0, due - loop.time()))
            async with self._lock:
                self._hand = (self._hand + 1) % len(self._wheel)
                await self._heartbeat(list(self._wheel[self._hand]))

    async def _heartbeat(self, subscribers: list[Subscriber]) -> None:
        id_ = self.id_at(self.position - 1) if self.open else None
        if id_ is None:
            return
        frames = {kind: chunk(event.heartbeat(kind, id_)) for kind in get_args(event.Heartbeat)}
        comment = chunk(event.COMMENT)
        for done, subscriber in enumerate(subscribers, 1):
            if subscriber.lost or subscriber.ending or subscriber.wire is None:
                continue
            if subscriber.paused:
                self.leave(subscriber)  # its own task counts how long it stays slow
                subscriber.notify()
            else:
                self._write(subscriber, subscriber.wire, frames[subscriber.heartbeat] if subscriber.live else comment)
            if not done % SWEEP_WRITES:
                await asyncio.sleep(0)

    # --- what befalls all streams at once

    async def rewind(self, cut: int, reload: Callable[[], Awaitable[None]]) -> None:
        """The log has another content from `cut` on: say so in every live stream and go on there; end the others."""
        async with self._lock:
            requested = self.id_at(self.position - 1) or ""
            await self._reload(reload)
            told = self.position > cut
            self.position = min(self.position, cut)
            frame = chunk(event.gap("truncated", requested, self.id_at(cut - 1)))
            for subscriber in self.streams:
                if subscriber.live and not subscriber.paused and subscriber.wire is not None:
                    if not told:
                        continue
                    if self._write(subscriber, subscriber.wire, frame):
                        self._metrics.gaps["truncated"] += 1
                else:
                    subscriber.end()  # its resume is checked like any other

    async def restart(self, reload: Callable[[], Awaitable[None]]) -> None:
        """The ring is rebuilt from elsewhere in the log: end every stream, so that each resumes by its id."""
        async with self._lock:
            await self._reload(reload)
            self.position = self.ring.end
            self._end_all()

    async def _reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        self.open = False
        self.history += 1
        try:
            await reload()
        except BaseException:
            self._end_all()
            raise
        if self.position < self.ring.start:
            self.position = self.ring.start
            self._end_all()
        self.open = True
        self.notify()

    def _end_all(self) -> None:
        for subscriber in self.streams:
            subscriber.end()

    async def drain(self, seconds: float) -> None:
        """End every stream, spread over the time given; cut what is left then."""
        self.draining = True
        streams = list(self.streams)
        random.shuffle(streams)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        spread = min(seconds * 0.8, len(streams) * 0.01)  # a few need no spreading
        for index, subscriber in enumerate(streams):
            subscriber.end("draining")
            late = begun + spread * index / len(streams) - loop.time()
            if late > 0.01:
                await asyncio.sleep(late)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(begun + seconds):
                await self._empty.wait()
        for subscriber in self.streams:
            if subscriber.wire is not None:
                subscriber.wire.abort()


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body)
