"""Fan-out: every live subscriber gets each matching record, encoded once for each filter and written directly.

There is no queue for a subscriber. A live one has been given everything below `position`. One that falls behind leaves
the live ones with a cursor of its own and replays from the ring (see http/stream.py). One lock keeps sweeps, heartbeats
and rewinds apart, so that between them all live subscribers stand at the same position.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import get_args

from sse_app.base.account import LARGE_BYTES
from sse_app.base.channels import Filter, prefixes_of
from sse_app.base.metrics import Metrics
from sse_app.base.spans import Spans
from sse_app.fanout import event_stream
from sse_app.fanout.backlog import Backlog, Filters
from sse_app.fanout.event_stream import Heartbeat
from sse_app.fanout.ring import Entry, Ring
from sse_app.fanout.socket_writer import CLOSED, SocketWriter, chunk, send
from sse_app.fanout.subscriber import Group, Subscriber
from sse_app.log.cursor import Cursor

SWEEP_RECORDS = 256  # with SWEEP_BYTES, the bound of what one sweep adds to the buffer of a transport
SWEEP_BYTES = 131_072
SWEEP_WRITES = 500  # about 4 ms of writes before publishers and new streams get their turn
_WRITE_BYTES = 10_240  # that take as long as one more write


class Hub:
    """All streams of this replica."""

    def __init__(
        self, ring: Ring, metrics: Metrics, heartbeat_seconds: int, backlog: Backlog, filters: Filters
    ) -> None:
        self.ring = ring
        self.backlog = backlog
        self.filters = filters
        self.position = 0  # every live subscriber has been given everything below it that it wants
        self.open = False  # whether streams are served: the ring is filled, and its head names a real record
        self.draining = False
        self.generation = 0  # of the ring; grows when it is rebuilt, so that cursors are checked again
        self.streams: set[Subscriber] = set()
        self.spans: Spans | None = None
        self._reserved = 0  # of them, those of the platform itself
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

    @property
    def subscribers(self) -> int:
        """How many streams are open, without those of the platform itself."""
        return len(self.streams) - self._reserved

    def add(self, subscriber: Subscriber, generation: int) -> None:
        """Count a stream in whose cursor was checked in that ring generation; it gets heartbeats from now on."""
        self.streams.add(subscriber)
        subscriber.wanted = self.filters.add(subscriber.wanted)
        self._reserved += subscriber.wanted.reserved
        self._empty.clear()
        # One position behind the hand: the first heartbeat comes after a whole turn.
        subscriber.slot = self._hand - 1 if self._hand else len(self._wheel) - 1
        self._wheel[subscriber.slot][subscriber] = None
        if self.draining or generation != self.generation:  # either may have come since the cursor was checked
            subscriber.end("draining" if self.draining else "")

    def remove(self, subscriber: Subscriber) -> None:
        """Forget a stream."""
        self.leave(subscriber)
        self.streams.discard(subscriber)
        self._reserved -= subscriber.wanted.reserved
        self.filters.remove(subscriber.wanted)
        self._wheel[subscriber.slot].pop(subscriber, None)
        if not self.streams:
            self._empty.set()

    def join(self, subscriber: Subscriber) -> None:
        """Make a subscriber live; it must have considered everything below `position`."""
        wanted = subscriber.wanted
        group = self._groups.get(wanted)
        if group is None:
            group = self._groups[wanted] = Group(wanted)
            for index, keys in ((self._by_exact, wanted.exact), (self._by_prefix, wanted.prefixes)):
                for key in keys:
                    index.setdefault(key, {})[group] = None
        group.members[subscriber] = None
        group.order = None  # a member has come or gone
        subscriber.place = -1  # it takes no part in a sweep that has begun
        subscriber.group, subscriber.live, subscriber.cursor = group, True, self.position - 1

    def leave(self, subscriber: Subscriber) -> None:
        """Take a subscriber out of the live ones; its cursor says how far it has come."""
        group = subscriber.group
        if group is None:
            return
        subscriber.cursor = self.considered(subscriber)
        subscriber.live, subscriber.group, subscriber.place = False, None, -1
        del group.members[subscriber]
        group.order = None  # a member has come or gone
        if not group.members and self._groups.get(group.wanted) is group:
            del self._groups[group.wanted]
            for index, keys in ((self._by_exact, group.wanted.exact), (self._by_prefix, group.wanted.prefixes)):
                for key in keys:
                    index[key].pop(group)
                    if not index[key]:
                        del index[key]

    def considered(self, subscriber: Subscriber) -> int:
        """The last offset that was considered for a subscriber; what matched has been handed to its transport."""
        group = subscriber.group
        if group is None:
            return subscriber.cursor
        if group.sweeping is not None and subscriber.place >= group.done:
            return group.sweeping - 1  # the running sweep has not reached it yet
        return self.position - 1

    def id_at(self, offset: int) -> str | None:
        """The id of a record in the ring."""
        held = self.ring.at(offset)
        return None if held is None else str(held.cursor)

    def _write(self, subscriber: Subscriber, writer: SocketWriter, data: bytes) -> bool:
        """Write to one subscriber; a transport may refuse, because uvloop closes it before it says that it is lost.

        If the refusal ended the sweep, the subscribers after this one would miss the event, and the next heartbeat
        would tell them that they had got it.
        """
        try:
            writer.write(data)
        except RuntimeError:
            self.leave(subscriber)
            subscriber.lose()
            return False
        if subscriber.group is not None:
            subscriber.group.note(subscriber)
        return True

    # --- delivery

    def notify(self) -> None:
        """Wake run(): the ring has grown."""
        self._wake.set()

    def moved(self) -> asyncio.Future[None]:
        """A future that the next sweep completes; it is shared, so wait by asyncio.wait(), which does not cancel it."""
        if self._moved is None:
            self._moved = asyncio.get_running_loop().create_future()
        return self._moved

    async def run(self) -> None:
        """Sweep whenever there is something; what arrives during a sweep is sent together by the next."""
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
        timestamps: list[int] = []  # of the events that at least one subscriber gets
        traces: list[str] | None = None if self.spans is None else []
        begun = 0 if traces is None else time.time_ns()
        size = 0
        for entry in self.ring.slice(begin, min(self.ring.end, begin + SWEEP_RECORDS)):
            if entry.frame is None:
                if entry.traceparent and entry.cut is not None:
                    if stop == begin:
                        self._tell(entry)
                        return
                    break  # it has a sweep of its own
                stop += 1
                continue
            stop += 1
            wanted = False
            dressed: dict[tuple[str, ...], bytes] | None = None
            for group in self._groups_for(entry.channel):
                if group.last is entry:
                    continue
                group.last = entry
                if not group.frames:
                    touched.append(group)
                extras = group.wanted.extras
                if not extras:
                    group.frames.append(entry.frame)
                else:  # made once for all filters that ask for the same
                    if dressed is None:
                        dressed = {}
                    if extras not in dressed:
                        dressed[extras] = entry.dressed(extras)
                    group.frames.append(dressed[extras])
                wanted = True
            if wanted:
                timestamps.append(entry.timestamp)
                if traces is not None and entry.traceparent:
                    traces.append(entry.traceparent)
                size += len(entry.frame)
                if size >= SWEEP_BYTES:
                    break
        # Orders are made before the first pause: whoever joins later has already considered everything below `stop`.
        work = [(group, group.ordered(), group.frames) for group in touched]
        for group in touched:
            group.frames, group.last, group.sweeping, group.done = [], None, begin, 0
        self.position = stop
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None
        chunks: dict[tuple[int, ...], bytes] = {}  # filters that let the same frames pass share their bytes
        writes = spent = 0
        for group, order, frames in work:
            same = tuple(map(id, frames))
            encoded = chunks.get(same)
            if encoded is None:
                encoded = chunks[same] = chunk(b"".join(frames))
            each = 1 + len(encoded) // _WRITE_BYTES
            if len(encoded) >= LARGE_BYTES:
                self._charge(order, len(encoded))
            given = 0
            for place, descriptor in enumerate(group.descriptors):
                sent = 0
                if descriptor != CLOSED and group.order is order:  # otherwise a member came or went during a pause
                    sent = send(descriptor, encoded)
                given += sent == len(encoded) or self._give(order[place], place, encoded, sent)
                spent += each
                if spent >= SWEEP_WRITES:
                    spent = 0
                    group.done = place + 1
                    await asyncio.sleep(0)
            group.sweeping = None
            self._metrics.deliveries += len(frames) * given
            writes += given
        self.ring.trim(stop - 1)
        self._metrics.writes += writes
        now = time.time()
        for timestamp in timestamps:
            self._metrics.latency.observe(max(0.0, now - timestamp / 1000))
        if traces and self.spans is not None:
            self.spans.delivered(traces, begun, len(timestamps), writes)

    def _charge(self, order: list[Subscriber], size: int) -> None:
        """Count many bytes; streams of an address that has taken its share get them by their own tasks, at its pace."""
        for place, subscriber in enumerate(order):
            if subscriber.account is not None and subscriber.place == place and not subscriber.account.affords(size):
                self.leave(subscriber)
                subscriber.notify()

    def _tell(self, marker: Entry) -> None:
        """The log has lost its end once: send a gap to whoever comes to the marker of that and was not told before."""
        reached, newest = self.position, self._newest()
        for subscriber in [one for one in self.streams if one.live and one.told != marker.cut]:
            writer = subscriber.writer
            if writer is None or subscriber.paused:
                self.leave(subscriber)  # its own task tells it
                subscriber.notify()
                continue
            had = _later(subscriber.heard, newest[subscriber.wanted])
            if self._write(subscriber, writer, chunk(event_stream.gap("truncated", had, str(marker.cursor)))):
                self._metrics.gaps["truncated"] += 1
                subscriber.heard = str(marker.cursor)
        self.position = reached + 1
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None
        self.ring.trim(reached)

    def _newest(self) -> dict[Filter, Cursor | None]:
        """The newest event that the live subscribers of each filter have been given, where the ring still holds it."""
        return {wanted: self._newest_of(wanted, self.position) for wanted in self._groups}

    def _newest_of(self, wanted: Filter, stop: int) -> Cursor | None:
        for entry in reversed(self.ring.slice(self.ring.start, max(self.ring.start, min(stop, self.ring.end)))):
            if entry.frame is not None and wanted.matches(entry.channel):
                return entry.cursor
        return None

    def _give(self, subscriber: Subscriber, place: int, data: bytes, sent: int) -> bool:
        """Write what the socket did not take, or what only the writer may write; return whether the event was given."""
        writer = subscriber.writer
        if subscriber.place != place:
            return False  # it has left, and may have joined again
        if writer is None or subscriber.paused:
            self.leave(subscriber)
            subscriber.notify()
            return False
        return self._write(subscriber, writer, data[sent:])

    async def beat(self) -> None:
        """Once a second, send heartbeats to one slot of the wheel."""
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
        frames = {kind: chunk(event_stream.heartbeat(kind, id_)) for kind in get_args(Heartbeat)}
        comment = chunk(event_stream.COMMENT)
        for done, subscriber in enumerate(subscribers, 1):
            if subscriber.lost or subscriber.ending or subscriber.writer is None:
                continue
            if subscriber.paused:
                self.leave(subscriber)  # its own task measures how long it stays slow
                subscriber.notify()
            else:
                said = subscriber.live and subscriber.heartbeat != "comment"
                frame = frames[subscriber.heartbeat] if said else comment
                if self._write(subscriber, subscriber.writer, frame) and said:
                    subscriber.heard = id_
            if not done % SWEEP_WRITES:
                await asyncio.sleep(0)

    # --- what happens to all streams at once

    async def rewind(self, cut: int, reload: Callable[[], Awaitable[None]]) -> None:
        """The log has other records from `cut` on: send a gap to every live stream and go on there; end the others."""
        async with self._lock:
            told = self.position > cut
            newest = self._newest() if told else {}
            await self._reload(reload)
            self.position = min(self.position, cut)
            resumed = self.id_at(cut - 1)
            for subscriber in self.streams:
                if subscriber.live and not subscriber.paused and subscriber.writer is not None:
                    if not told:
                        continue
                    had = _later(subscriber.heard, newest.get(subscriber.wanted))
                    frame = event_stream.gap("truncated", had, resumed)
                    if self._write(subscriber, subscriber.writer, chunk(frame)):
                        self._metrics.gaps["truncated"] += 1
                        subscriber.told = cut
                        subscriber.heard = resumed or subscriber.heard  # a gap without an id leaves the old one
                else:
                    subscriber.end()  # it comes back, and its cursor is checked like any other

    async def restart(self, reload: Callable[[], Awaitable[None]]) -> None:
        """The ring is rebuilt from another place in the log: end every stream, so that each resumes by its id."""
        async with self._lock:
            await self._reload(reload)
            self.position = self.ring.end
            self._end_all()

    async def _reload(self, reload: Callable[[], Awaitable[None]]) -> None:
        self.open = False
        self.generation += 1
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

    async def send_off(self, seconds: float) -> None:
        """Say bye on every stream of now, spread over the given time; who comes back is served."""
        streams = list(self.streams)
        random.shuffle(streams)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        spread = min(seconds * 0.8, len(streams) * 0.01)  # a few streams need no spreading
        for index, subscriber in enumerate(streams):
            subscriber.end("draining")
            late = begun + spread * index / len(streams) - loop.time()
            if late > 0.01:
                await asyncio.sleep(late)

    async def drain(self, seconds: float) -> None:
        """End every stream, spread over the given time; cut those that are left after it."""
        self.draining = True
        begun = asyncio.get_running_loop().time()
        await self.send_off(seconds)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(begun + seconds):
                await self._empty.wait()
        for subscriber in self.streams:
            if subscriber.writer is not None:
                subscriber.writer.abort()


def _later(heard: str, event: Cursor | None) -> str:
    """The later one of two ids that a subscriber may have got: by an opening, a heartbeat or a gap, and by an event."""
    cursor = Cursor.parse(heard)
    return heard if event is None or (cursor is not None and cursor.offset >= event.offset) else str(event)
