"""What this replica does now: told once, or every second to all who watch, encoded once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from pydantic import BaseModel
from starlette.responses import Response, StreamingResponse

from sse_app.base import event
from sse_app.base.event import Reason, jittered
from sse_app.base.metrics import Lapse, Metrics, Outcome, Source
from sse_app.base.settings import Settings
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.http.stream import EXTENSION, HEADERS, Connection, Message, Receive, Scope, Send
from sse_app.log.interface import Log
from sse_app.resume.redis_history import History

_TICK_SECONDS = 1.0  # as often as a person can follow


class RingStats(BaseModel):
    """The records in memory."""

    events: int
    bytes: int
    newest: str | None


class LogStats(BaseModel):
    """The log: `state` is ok or an error, `lag` the records that this replica has not read."""

    kind: str
    state: str
    lag: int


class Stats(BaseModel):
    """Counters since the start of this replica, and what it holds now."""

    replica: str
    uptime_seconds: float
    subscribers: int
    events: int
    deliveries: int
    publishes: dict[Outcome, int]
    gaps: dict[Reason, int]
    resumes: dict[Source, int]
    slow_readers_dropped: int
    ring: RingStats
    log: LogStats
    redis: str


class Statistics:
    """Counts for everybody; streams to at most SSE_MAX_STATS_STREAMS watchers."""

    def __init__(self, settings: Settings, hub: Hub, feed: Feed, log: Log, history: History, metrics: Metrics) -> None:
        self.settings = settings
        self.watchers = 0
        self._hub = hub
        self._feed = feed
        self._log = log
        self._history = history
        self._metrics = metrics
        self._begun = time.monotonic()
        self._watched = asyncio.Event()
        self._frame = b""
        self._moved: asyncio.Future[None] | None = None

    def now(self) -> Stats:
        """All of it."""
        hub, metrics = self._hub, self._metrics
        return Stats(
            replica=self.settings.replica,
            uptime_seconds=round(time.monotonic() - self._begun, 1),
            subscribers=len(hub.streams),
            events=metrics.events,
            deliveries=metrics.deliveries,
            publishes=dict(metrics.publishes),
            gaps=dict(metrics.gaps),
            resumes=dict(metrics.resumes),
            slow_readers_dropped=metrics.ends["slow"],
            ring=RingStats(events=len(hub.ring), bytes=hub.ring.bytes, newest=hub.id_at(hub.ring.end - 1)),
            log=LogStats(kind=self._log.kind, state=self._feed.error or "ok", lag=self._feed.lag),
            redis=self._history.state,
        )

    async def run(self) -> None:
        """Tick while somebody watches."""
        while True:
            await self._watched.wait()
            await asyncio.sleep(_TICK_SECONDS)
            self._tick()

    def watch(self, lapse: Callable[[], Lapse | None]) -> Response:
        """An event stream; where none can be had now, what a stream of events answers then.

        :param lapse: why the watcher's credential counts no more, once it does not
        """
        if self._hub.draining or self.watchers >= self.settings.max_stats_streams:
            return Response(event.retry_only(self._retry()), headers={**HEADERS, "connection": "close"})
        return _Watching(self, lapse)

    def count(self, change: int) -> None:
        """A watcher has come or gone."""
        self.watchers += change
        if self.watchers:
            self._watched.set()
        else:
            self._watched.clear()

    def close(self) -> None:
        """End every stream, now that the hub drains."""
        self._tick()

    async def frames(self, lapse: Callable[[], Lapse | None]) -> AsyncIterator[bytes]:
        """What one watcher gets; a slow one misses ticks, since nothing waits for it."""
        yield event.retry_only(self._retry()) + self._encoded()
        while not (self._hub.draining or lapse()):
            if self._moved is None:
                self._moved = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._moved,))
            yield self._frame
        yield event.control("bye", {"reason": lapse() or "draining"}, None, self._retry())

    def _retry(self) -> int:
        return jittered(self.settings.retry_milliseconds)

    def _encoded(self) -> bytes:
        return b"event: stats\ndata: %b\n\n" % self.now().model_dump_json().encode()

    def _tick(self) -> None:
        self._frame = self._encoded()
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None


class _Watching(StreamingResponse):
    """One watcher; cut when it reads nothing for SSE_SLOW_READER_SECONDS."""

    def __init__(self, statistics: Statistics, lapse: Callable[[], Lapse | None]) -> None:
        super().__init__(statistics.frames(lapse), headers=HEADERS)
        self._statistics = statistics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = self._statistics.settings.slow_reader_seconds

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(seconds):
                await send(message)

        self._statistics.count(1)
        try:
            await super().__call__(scope, receive, bounded)
        except TimeoutError:
            connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
            if connection is not None:
                connection.transport.abort()
                await receive()  # until the server has seen it
        finally:
            self._statistics.count(-1)
