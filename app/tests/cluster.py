"""Three replicas in one thread on a clock of their own, over one log that remembers everything it was ever told.

Nothing here waits for real time: the loop jumps to its next timer. Every answer of the log and of Redis may take turns
of the loop, so that faults fall between a question and its answer.
"""

from __future__ import annotations

import asyncio
import fnmatch
import re
import selectors
import socket
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode

from redis import ConnectionError as RedisConnectionError
from redis import ResponseError
from sse_harness import Block, blocks

from sse_app.base.event import Event
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.fanout.subscriber import Subscriber
from sse_app.http.stream import PATH
from sse_app.http.stream_output import EXTENSION
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import CUT, MARKER, Bounds, Draft, Fetched, LogUnavailableError, Record, Tail
from sse_app.resume.redis_sequence import _APPEND, _RANGE
from sse_app.service import Service

REPLICAS = 3
WINDOW = 12  # of duplicates, in offsets
CHANNELS = ["a", "b", "x.y"]
SETTINGS = Settings(
    redis_host="fake", ring_events=10, heartbeat_seconds=1, retention_seconds=60, publish_deadline_seconds=5
).model_copy(
    update={
        "dedupe_window": WINDOW,
        "sequence_events": 40,
        "sequence_bytes": 4000,
        "publish_rate": 0,
        "max_streams_per_address": 0,  # no business of this test
    }
)


class ViolationError(AssertionError):
    """The promise is broken."""


# --- time


class _Jumping(selectors.SelectSelector):
    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits for ever")
        self.loop.now += timeout
        return super().select(0)

    loop: Loop


class Loop(asyncio.SelectorEventLoop):
    """A loop whose clock jumps to the next timer when there is nothing to do."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Jumping()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


# --- the log, and all that it ever held


class Node:
    """A record of the log: the records before it decide whether it is a duplicate."""

    def __init__(self, record: Record, parent: Node | None) -> None:
        self.id = f"{record.offset}-{record.fingerprint}"
        self.offset = record.offset
        self.key = record.draft.key
        self.channel = record.draft.channel
        self.data = record.draft.data.decode()
        self.parent = parent
        before = [node.key for node, _ in zip(self.back(), range(WINDOW), strict=False)]
        self.is_event = self.channel != MARKER and self.key not in before
        self.cut = int(record.draft.data) if (self.channel, record.draft.event) == (MARKER, CUT) else None
        self.is_first = self.key not in before
        self.is_late = self.key not in before and any(node.key == self.key for node in self.back())  # for the window

    def back(self) -> Any:
        node = self.parent
        while node is not None:
            yield node
            node = node.parent

    def __repr__(self) -> str:
        return f"<{self.id} {self.channel} {self.data}{'' if self.is_event else ' dropped'}>"


class OracleLog(EmbeddedLog):
    """The log that replicas share; `path` is what it holds now from the beginning, trimmed records included."""

    def __init__(self) -> None:
        super().__init__(capacity=1_000_000)
        self.path: list[Node] = []
        self.nodes: dict[str, list[Node]] = {}
        self.trimmed_to = 0  # at most, whatever the log held
        self.cuts: list[int] = []  # where it lost its end
        self.lose: Callable[[int, list[Node]], None] = lambda *_: None

    async def append(self, drafts: Sequence[Draft]) -> int:
        first = await super().append(drafts)
        for record in self._records[first - self._start :]:
            node = Node(record, self.path[-1] if self.path else None)
            self.path.append(node)
            self.nodes.setdefault(node.id, []).append(node)
        return first

    @property
    def start(self) -> int:
        return self._start

    def truncate(self, end: int) -> None:
        super().truncate(end)
        lost = self.path[end:]
        del self.path[end:]
        if lost:
            self.cuts.append(end)
            self.lose(end, lost)

    def trim(self, start: int) -> None:
        super().trim(start)
        self.trimmed_to = max(self.trimmed_to, start)

    def recreate(self) -> None:
        super().recreate()
        self.cuts.append(0)
        self.path.clear()

    def has(self, id_: str) -> bool:
        offset = int(id_.split("-", maxsplit=1)[0])
        return offset < len(self.path) and self.path[offset].id == id_

    def position(self, key: bytes) -> int | None:
        """Newest offset of a key in what the log holds now."""
        return next((node.offset for node in reversed(self.path) if node.key == key), None)


class View:
    """The log as one replica reaches it: slow, unreachable, or paused together with the replica."""

    kind = "embedded"
    remote = True

    def __init__(self, log: OracleLog) -> None:
        self.log = log
        self.turns = 0  # of the loop, that every answer takes
        self.reachable = True
        self.losing = False  # answers to appends
        self.running = asyncio.Event()
        self.running.set()

    async def _pass(self) -> None:
        for _ in range(self.turns):
            await asyncio.sleep(0)
        await self.running.wait()
        if not self.reachable:
            raise LogUnavailableError("unreachable")

    async def prepare(self) -> None:
        await self._pass()

    async def bounds(self) -> Bounds:
        await self._pass()
        found = await self.log.bounds()
        await self._pass()
        return found

    async def read(self, offset: int, limit: int) -> Sequence[Record]:
        await self._pass()
        found = list(await self.log.read(offset, limit))
        await self._pass()
        return found

    async def offset_at(self, milliseconds: int) -> int:
        await self._pass()
        return await self.log.offset_at(milliseconds)

    async def append(self, drafts: Sequence[Draft]) -> int:
        await self._pass()
        first = await self.log.append(drafts)
        if self.losing:
            await asyncio.Event().wait()  # until the deadline
        await self._pass()
        return first

    @asynccontextmanager
    async def tail(self, offset: int) -> AsyncGenerator[Tail]:
        await self._pass()
        async with self.log.tail(offset) as tail:
            yield _ViewOfTail(self, tail)

    async def close(self) -> None:
        pass


class _ViewOfTail:
    def __init__(self, view: View, tail: Tail) -> None:
        self._view = view
        self._tail = tail

    async def fetch(self, wait: bool = True) -> Fetched:
        await self._view._pass()
        fetched = await self._tail.fetch(wait)
        await self._view._pass()
        return fetched


# --- Redis


class FakeRedis:
    """The part of a client that redis_history.py uses; the real scripts are in resume/test_redis_sequence.py."""

    def __init__(self) -> None:
        self.up = True
        self.seconds = 0.0  # that an answer takes
        self.records: list[bytes] = []
        self.writer, self.until = "", 0.0  # who has the lease, and until when

    def flush(self) -> None:
        """FLUSHALL."""
        self.records, self.until = [], 0.0

    async def __aenter__(self) -> FakeRedis:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def ping(self) -> None:
        await self._answer()

    async def _answer(self) -> None:
        await asyncio.sleep(self.seconds)
        if not self.up:
            raise RedisConnectionError("down")

    def register_script(self, text: str) -> Any:
        async def script(_: object, arguments: Sequence[Any]) -> Any:
            await self._answer()
            try:
                found = self._scripts.get(text, self._lead)(*arguments)
            except (ValueError, AttributeError, TypeError) as error:  # poisoned
                raise ResponseError(str(error)) from error
            await self._answer()
            return found

        return script

    @property
    def _scripts(self) -> dict[str, Callable[..., Any]]:
        return {_APPEND: self._append, _RANGE: self._range}

    def _lead(self, name: str, milliseconds: int) -> tuple[int, bytes]:
        now = asyncio.get_running_loop().time()
        if self.writer == name or now >= self.until:
            self.writer, self.until = name, now + milliseconds / 1000
        newest = re.match(rb"\d+-[0-9a-f]*", self.records[-1]) if self.records else None
        return self.writer == name, newest[0] if newest else b""

    def _append(self, events: int, size: int, _: int, __: int, previous: bytes, *records: bytes) -> None:
        held = {_mark(record): index for index, record in enumerate(self.records)}
        first, last = _offset(records[0]), _offset(records[-1])
        newest = self.records[-1] if self.records and re.match(rb"\d", self.records[-1]) else None
        if newest is None or _offset(newest) - _offset(self.records[0]) + 1 != len(self.records):
            fits, new = False, records
        elif _offset(newest) > last:
            if _offset(self.records[0]) > last:
                return
            fits, new = _mark(records[-1]) in held, ()
        elif _offset(newest) == first - 1:
            fits, new = _mark(newest) == previous, records
        else:
            at = _offset(newest) - first
            fits, new = at >= 0 and _mark(records[at]) == _mark(newest), records[at + 1 :]
        self.records = [*self.records, *new] if fits else list(records)
        while len(self.records) > 1 and (len(self.records) > events or sum(map(len, self.records)) > size):
            del self.records[0]

    def _range(self, first: int, cursor: int, last: int, link: int, *_: object) -> list[bytes]:
        if not self.records or cursor < _offset(self.records[0]):
            return []
        start = _offset(self.records[0])
        at = link - start
        linked = self.records[at] if 0 <= at < len(self.records) else b""
        return [linked, *self.records[max(first - start, 0) : last - start + 1]]


def _mark(record: bytes) -> bytes:
    return record.split(b" ")[0]


def _offset(record: bytes) -> int:
    return int(record.split(b"-")[0])


# --- subscribers


class Subscription:
    """A client that keeps its last id and judges every byte it gets."""

    def __init__(self, cluster: Cluster, number: int, channels: Sequence[str]) -> None:
        self.name = f"subscriber {number} of {','.join(channels)}"
        self.cursor: str | None = None
        self.seen: dict[str, str] = {}  # data by id
        self.told: list[str] = []
        self._cluster = cluster
        self._log = cluster.log
        self._channels = channels
        self.had: set[str] = set()  # every id that it got
        self.owed: set[int] = set()  # cuts that took events from it which it had not got: a marker must tell it
        self._anywhere = True  # what comes next need not follow what came last: a gap or the beginning said so
        self.connection: Connection | None = None

    @property
    def connected(self) -> bool:
        return self.connection is not None and not self.connection.task.done()

    def connect(self, replica: int) -> None:
        self.cut()
        self.connection = Connection(self, self._cluster.replicas[replica], self._channels, self.cursor)

    def cut(self) -> None:
        """Lose the connection, and with it what has not been read."""
        if self.connection is not None:
            self.connection.cut()
            self.connection = None

    def fail(self, what: str) -> None:
        end = [*self._log.path[-20:]]
        raise ViolationError(f"{self.name}: {what}; cursor {self.cursor}; heard {self.told[-12:]}; the log ends {end}")

    def wants(self, node: Node) -> bool:
        return node.is_event and any(fnmatch.fnmatchcase(node.channel, pattern) for pattern in self._channels)

    def hear(self, block: Block) -> None:
        self.told.append(f"{block.event}:{block.id}:{block.data}")
        if block.event == "gap":
            self._hear_gap(block)
        elif block.data is None or block.event in {"cursor", "bye"}:
            if block.id is not None:
                self._advance(block.id)
        else:
            self._hear_event(block)
        if block.id is not None:
            self.cursor = block.id
            self.had.add(block.id)

    def _hear_gap(self, block: Block) -> None:
        reason, requested = block.json["reason"], block.json["requested"]
        lost = self.cursor or requested
        if requested not in self.had:
            self.fail(f"a gap names {requested!r}, which it never had")
        if reason == "malformed":
            self.fail("an id of ours was called malformed")
        passed = block.id is not None and self._log.has(lost) and len(self._log.nodes[lost]) == 1
        place = int(lost.split("-")[0]) if lost else -1
        later = self._is_marked(block.id or "") or any(cut > place for cut in self._log.cuts)
        if reason == "truncated" and passed and not later:
            self.fail("what is in the log was called truncated")
        self.owed.clear()
        if reason == "expired" and int(lost.split("-")[0]) >= self._log.trimmed_to + WINDOW:
            self.fail("what is kept, and its window, was called expired")
        self._anywhere = block.id is None
        if block.id is not None and block.id not in self._log.nodes:
            self.fail("a gap resumes from an id that never was")
        kept = set[str]()
        for node in self._log.nodes.get(block.id or "", ()):
            kept |= {node.id, *(before.id for before in node.back())}
        self.seen = {id_: data for id_, data in self.seen.items() if id_ in kept}

    def _is_marked(self, id_: str) -> bool:
        """Whether this is the marker of a lost end."""
        return any(node.cut is not None for node in self._log.nodes.get(id_, ()))

    def lose(self, cut: int, lost: list[Node]) -> None:
        """Take note of what the log has lost before this subscriber got it."""
        if self.cursor is None or not self._log.has(self.cursor) or int(self.cursor.split("-")[0]) >= cut:
            return
        if any(self.wants(node) for node in lost):
            self.owed.add(cut)

    def _hear_event(self, block: Block) -> None:
        id_ = block.id or ""
        self._advance(id_, is_event=True)
        late = any(node.is_late for node in self._log.nodes[id_])
        if id_ in self.seen or (block.data in self.seen.values() and not late):
            self.fail(f"{id_} was delivered twice")
        if block.data not in {node.data for node in self._log.nodes[id_]}:
            self.fail(f"{id_} says {block.data}")
        self.seen[id_] = block.data or ""

    def _advance(self, id_: str, is_event: bool = False) -> None:
        """Every way to this id from the last one must be without an event that this subscriber wants."""
        if id_ not in self._log.nodes:
            self.fail(f"{id_} never was in the log")
        if self._anywhere or self.cursor is None:
            self._anywhere = False
            return
        problems: list[str] = []
        for node in self._log.nodes[id_]:
            problem = self._problem(node, is_event)
            if problem is None:
                return
            problems.append(problem)
        self.fail("; ".join(problems))

    def _problem(self, node: Node, is_event: bool) -> str | None:
        if is_event and not self.wants(node):
            return f"{node} is not for it"
        if node.id == self.cursor:
            return f"{node} again" if is_event else None
        missed: list[Node] = [] if is_event or not self.wants(node) else [node]
        for before in node.back():
            if before.id == self.cursor:
                return f"{node} comes without {missed}" if missed else None
            if self.wants(before):
                missed.append(before)
        return f"{node} does not follow {self.cursor}, and no gap said so"

    def judge_end(self) -> None:
        """When everything is quiet, the whole log up to its end has been considered."""
        if self.cursor is None:
            self.fail("never heard anything")
        if not self._anywhere:
            self._advance(self._log.path[-1].id)
        told = {node.cut for node in self._log.path if node.cut is not None and node.is_first}
        if self.owed & told:
            self.fail(f"the marker of the cut at {self.owed & told} was passed without a gap")


class Connection:
    """What a server's protocol would be: takes writes, may be slow, may be lost."""

    def __init__(
        self, subscription: Subscription, replica: Replica, channels: Sequence[str], cursor: str | None
    ) -> None:
        self.transport: Any = self
        self.stream: Any = None
        self._subscription = subscription
        self._text = ""
        self._held: list[bytes] | None = None  # while the reader is slow
        self._closed = False
        scope = {
            "type": "http",
            "path": PATH,
            "method": "GET",
            "http_version": "1.1",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 2),
            "root_path": "",
            "raw_path": PATH.encode(),
            "query_string": urlencode([("channel", name) for name in channels]).encode(),
            "headers": [(b"host", b"x"), *([(b"last-event-id", cursor.encode())] if cursor else [])],
            "extensions": {EXTENSION: self},
        }
        self.replica = replica
        self.task = replica.start(replica.service.application(scope, self._receive, self._send))
        self.task.add_done_callback(lambda _: setattr(self, "stream", None))

    async def _receive(self) -> dict[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            if message["status"] != 200:
                self._subscription.fail(f"a valid stream was answered {message['status']}")
        elif message["body"]:
            self._hear(message["body"])

    def stream_head(self, _: object, __: object) -> None:
        """Have the head written by send()."""

    def begin_stream(self, _: object, subscriber: Subscriber) -> None:
        self.stream = subscriber
        subscriber.lost = self._closed
        if self._held is not None:
            subscriber.pause()

    def end_stream(self) -> None:
        self.stream = None

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def get_extra_info(self, name: str) -> Any:
        """A socket that takes nothing directly: see fanout/test_socket_writer.py for those that do."""
        return SimpleNamespace(family=socket.AF_INET, fileno=lambda: -1) if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        return sum(map(len, self._held or []))

    def is_closing(self) -> bool:
        return self._closed

    def write(self, data: bytes) -> None:
        """One chunk (RFC 9112, section 7.1)."""
        if self._closed:
            return
        if self._held is not None:
            self._held.append(data)
            return
        size, _, rest = data.partition(b"\r\n")
        self._hear(rest[: int(size, 16)])

    def _hear(self, body: bytes) -> None:
        text, end, self._text = (self._text + body.decode()).rpartition("\n\n")
        try:
            for block in blocks(text + end):
                self._subscription.hear(block)
        except ViolationError as violation:
            self.replica.cluster.violations.append(violation)

    def abort(self) -> None:
        self._closed = True
        if self.stream is not None:
            self.stream.lose()

    cut = abort

    def slow(self) -> None:
        self._held = self._held or []
        if self.stream is not None:
            self.stream.pause()

    def quick(self) -> None:
        held, self._held = self._held or [], None
        for data in held:
            self.write(data)
        if self.stream is not None:
            self.stream.resume()


# --- replicas and their clients


class Replica:
    """A service that can die at any moment."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.view = View(cluster.log)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def up(self) -> None:
        self.service = Service(SETTINGS, self.view)
        self.service.redis_history._connect = lambda: self.cluster.redis  # type: ignore[method-assign]
        self.service.on_failure = lambda: self.cluster.violations.append(ViolationError("a task of a replica has died"))
        self._life = self.service._lifespan(None)  # type: ignore[arg-type]
        await self._life.__aenter__()

    async def down(self) -> None:
        """As kill -9 does: nothing is said to anybody."""
        for subscription in self.cluster.subscriptions:
            if subscription.connection is not None and subscription.connection.replica is self:
                subscription.cut()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._life.__aexit__(None, None, None)
        self.view.running.set()
        self.view.reachable, self.view.losing, self.view.turns = True, False, 0

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = self.cluster.loop.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.cluster.violations.append(error)


class Cluster:
    """Everything together."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.violations: list[BaseException] = []
        self.log = OracleLog()
        self.redis = FakeRedis()
        self.subscriptions: list[Subscription] = []
        self.log.lose = lambda cut, lost: [one.lose(cut, lost) for one in self.subscriptions]  # type: ignore[assignment]
        self.replicas = [Replica(self) for _ in range(REPLICAS)]
        self.unknown: dict[str, list[Event]] = {}  # publishes answered 503, by key
        self.accepted: list[str] = []
        self._published = 0
        for replica in self.replicas:
            self.run(replica.up())

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Run something to its end, and say what broke meanwhile."""
        self.loop.run_until_complete(coroutine)
        if self.violations:
            raise self.violations[0]

    def turn(self, turns: int) -> None:
        async def run() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(run())

    def wait(self, seconds: float) -> None:
        self.run(asyncio.sleep(seconds))

    def subscribe(self, replica: int, channels: Sequence[str]) -> None:
        self.subscriptions.append(Subscription(self, len(self.subscriptions), channels))
        self.subscriptions[-1].connect(replica)

    def publish(self, replica: int, channels: Sequence[str]) -> None:
        events = [Event(channel=channel, data=f"{self._published}.{n}") for n, channel in enumerate(channels)]
        self._published += 1
        self._send(replica, events, str(self._published))

    def retry(self, replica: int, key: str) -> None:
        """Repeat a publish whose outcome is unknown, while the window reaches back to it."""
        events = self.unknown[key]
        first = self.log.position(f"test\0{key}\0{len(events) - 1}".encode())
        if first is not None and (len(self.log.path) - first + len(events) >= WINDOW or first < self.log.start):
            del self.unknown[key]
        else:
            self._send(replica, self.unknown.pop(key), key)

    def _send(self, replica: int, events: list[Event], key: str) -> None:
        self.unknown[key] = events  # also if the replica dies before it answers

        async def publish() -> None:
            try:
                found = await self.replicas[replica].service.publisher.publish(events, "test", key)
            except Problem as problem:
                if problem.status != 503:
                    raise
                return
            self.unknown.pop(key, None)
            self.accepted += found
            for event, id_ in zip(events, found, strict=True):
                stored = self.log.nodes.get(id_, [])
                if not any(node.data == event.data and node.is_event for node in stored):
                    self.violations.append(ViolationError(f"{id_} was acknowledged, and {stored} is stored"))

        self.replicas[replica].start(publish())

    def heal(self) -> None:
        """End every fault, reconnect everybody, publish once more everywhere, and judge."""
        self.redis.up, self.redis.seconds = True, 0.0
        for replica in self.replicas:
            view = replica.view
            view.reachable, view.losing, view.turns = True, False, 0
            view.running.set()
        for subscription in self.subscriptions:
            if subscription.connection is not None:
                subscription.connection.quick()
        self.wait(30)
        for replica in range(REPLICAS):
            accepted = len(self.accepted)
            self.publish(replica, CHANNELS)
            self.wait(2)
            if len(self.accepted) != accepted + len(CHANNELS):
                state = self.replicas[replica].service
                raise ViolationError(
                    f"replica {replica} accepts nothing any more: {vars(state.feed)}, {vars(state.hub)}"
                )
        for _ in range(4):  # a stream may be ended for its safety, and then resumes
            for number, subscription in enumerate(self.subscriptions):
                if not subscription.connected:
                    subscription.connect(number % REPLICAS)
            self.wait(5)
        for subscription in self.subscriptions:
            subscription.judge_end()

    def close(self) -> None:
        for replica in self.replicas:
            self.loop.run_until_complete(replica.down())
        self.loop.close()
