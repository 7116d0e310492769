"""Statistics: what this replica does now, once or every second as a stream, encoded once for all watchers."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from functools import partial

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.responses import StreamingResponse

from sse_app.access.authority import Authority
from sse_app.base.asgi import Message, Receive, Scope, Send
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import AccessEnd, GapReason, Outcome, Source
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.http import openapi
from sse_app.http.questions import HEAD
from sse_app.http.stream_output import HEADERS, connection_of
from sse_app.http.stream_request import require_chunks
from sse_app.log.interface import Log
from sse_app.resume.redis_history import RedisHistory

_TICK_SECONDS = 1.0  # as often as a person can follow


class RingStats(BaseModel):
    """The records in memory."""

    events: int
    bytes: int
    newest: str | None


class LogStats(BaseModel):
    """The log: `state` is ok or an error, `lag` counts the records that this replica has not read."""

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
    gaps: dict[GapReason, int]
    resumes: dict[Source, int]
    slow_readers_dropped: int
    ring: RingStats
    log: LogStats
    redis: str


class Statistics:
    """Counts for everybody, and streams to at most SSE_MAX_STATS_STREAMS watchers, a quarter of them at one address."""

    def __init__(
        self, settings: Settings, hub: Hub, feed: Feed, log: Log, redis_history: RedisHistory, metrics: Metrics
    ) -> None:
        self.settings = settings
        self._watchers: Counter[str] = Counter()  # by address
        self._most_of_one = max(1, settings.max_stats_streams // 4)
        self._hub = hub
        self._feed = feed
        self._log = log
        self._redis_history = redis_history
        self._metrics = metrics
        self._begun = time.monotonic()
        self._watched = asyncio.Event()
        self._frame = b""
        self._moved: asyncio.Future[None] | None = None

    @property
    def watchers(self) -> int:
        """The streams that are open now."""
        return self._watchers.total()

    def now(self) -> Stats:
        """The present statistics."""
        hub, metrics = self._hub, self._metrics
        return Stats(
            replica=self.settings.replica,
            uptime_seconds=round(time.monotonic() - self._begun, 1),
            subscribers=hub.subscribers,
            events=metrics.events,
            deliveries=metrics.deliveries,
            publishes=dict(metrics.publishes),
            gaps=dict(metrics.gaps),
            resumes=dict(metrics.resumes),
            slow_readers_dropped=metrics.stream_ends["slow"],
            ring=RingStats(events=len(hub.ring), bytes=hub.ring.bytes, newest=hub.id_at(hub.ring.end - 1)),
            log=LogStats(kind=self._log.kind, state=self._feed.error or "ok", lag=self._feed.lag),
            redis=self._redis_history.state,
        )

    async def run(self) -> None:
        """Tick while somebody watches."""
        while True:
            await self._watched.wait()
            await asyncio.sleep(_TICK_SECONDS)
            self.tick()

    def watch(self, address: str, access_end: Callable[[], AccessEnd | None]) -> Response:
        """A stream of statistics; where this replica cannot serve one now, the short answer that a stream then gets.

        :param access_end: returns why the access of the watcher ended, or None while it is valid
        """
        full = self.watchers >= self.settings.max_stats_streams or self._watchers[address] >= self._most_of_one
        if self._hub.draining or full:
            return Response(event_stream.retry_only(self._retry()), headers={**HEADERS, "connection": "close"})
        return _Watching(self, address, access_end)

    def come(self, address: str) -> None:
        """Take note of a new watcher."""
        self._watchers[address] += 1
        self._watched.set()

    def leave(self, address: str) -> None:
        """Take note that a watcher has gone."""
        self._watchers[address] -= 1
        if not self._watchers[address]:
            del self._watchers[address]
        if not self._watchers:
            self._watched.clear()

    async def frames(self, access_end: Callable[[], AccessEnd | None]) -> AsyncIterator[bytes]:
        """The frames of one watcher; a slow one misses ticks, because nothing waits for it."""
        yield event_stream.retry_only(self._retry()) + self._encoded()
        while not (self._hub.draining or access_end()):
            if self._moved is None:
                self._moved = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._moved,))
            yield self._frame
        yield event_stream.control("bye", {"reason": access_end() or "draining"}, None, self._retry())

    def _retry(self) -> int:
        return event_stream.jittered(self.settings.retry_milliseconds)

    def _encoded(self) -> bytes:
        return b"event: stats\ndata: %b\n\n" % self.now().model_dump_json().encode()

    def tick(self) -> None:
        """Send the present statistics to every watcher; once the hub drains, this ends their streams."""
        self._frame = self._encoded()
        if self._moved is not None:
            self._moved.set_result(None)
            self._moved = None


class _Watching(StreamingResponse):
    """The stream of one watcher; it is cut when nobody reads it for SSE_SLOW_READER_SECONDS."""

    def __init__(self, statistics: Statistics, address: str, access_end: Callable[[], AccessEnd | None]) -> None:
        super().__init__(statistics.frames(access_end), headers=HEADERS)
        self._statistics = statistics
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        seconds = self._statistics.settings.slow_reader_seconds

        async def bounded(message: Message) -> None:
            async with asyncio.timeout(seconds):
                await send(message)

        self._statistics.come(self._address)
        try:
            await super().__call__(scope, receive, bounded)
        except TimeoutError:
            connection = connection_of(scope)
            if connection is not None:
                connection.transport.abort()
                await receive()  # until the server has noticed
        finally:
            self._statistics.leave(self._address)


def router(authority: Authority, statistics: Statistics) -> APIRouter:
    """The routes."""
    made = APIRouter(prefix="/api/v1")

    @made.get("/stats", responses=openapi.problems(401, 403))
    async def stats(request: Request) -> Stats:
        """What this replica does now."""
        authority.access(request.scope).require_reader()
        return statistics.now()

    @made.get("/stats/stream", response_class=Response, responses=openapi.STATS_STREAM)
    async def watch(request: Request) -> Response:
        """The same every second, as an event stream."""
        require_chunks(request.scope)
        access = authority.access(request.scope)
        access.require_reader()
        if HEAD in request.scope:
            return StreamingResponse(iter(()), headers=HEADERS)  # Response would tell its length
        return statistics.watch(access.address, partial(authority.access_end, access.principal))

    _ = stats, watch
    return made
