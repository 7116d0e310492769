"""One replica: builds its parts in the order in which they depend on each other, runs them and stops them."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from sse_app.access.authority import Authority
from sse_app.access.limits import Limits
from sse_app.base.asgi import Application
from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.base.spans import Spans
from sse_app.fanout.backlog import Backlog, Filters
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Ring
from sse_app.http import api, cors
from sse_app.http.answers import Answers
from sse_app.http.pause import Pause
from sse_app.http.publish import Publishes, SchemaCheck
from sse_app.http.publisher import Publisher
from sse_app.http.routes.health import Readiness
from sse_app.http.routes.statistics import Statistics
from sse_app.http.shares import Shares
from sse_app.http.stream import Streams
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Log
from sse_app.log.kafka import KafkaLog
from sse_app.resume.blocks import Blocks
from sse_app.resume.past import Past
from sse_app.resume.redis_history import RedisHistory
from sse_app.resume.resumer import Resumer

SEND_OFF_SECONDS = 1  # NGINX is given two before it is replaced
logger = logging.getLogger(__name__)


class Service:
    """Everything of one replica; `application` is what the server runs."""

    def __init__(self, settings: Settings, log: Log | None = None) -> None:
        self.settings = settings
        self._sending_off: asyncio.Task[None] | None = None
        self.on_failure: Callable[[], None] = lambda: None  # called when a background task has failed
        self.metrics = metrics = Metrics()
        log = self.log = log or _log(settings)
        ring = Ring(settings.ring_events, settings.ring_bytes)
        backlog = Backlog(settings.backlog_bytes, settings.send_buffer_bytes)
        filters = Filters(settings.backlog_bytes // 2)
        hub = self.hub = Hub(ring, metrics, settings.heartbeat_seconds, backlog, filters)
        redis = self.redis_history = RedisHistory(settings)
        feed = self.feed = Feed(settings, log, hub, metrics, redis.offer, redis.forget, redis.recall)
        blocks = Blocks(log, feed, hub, redis)
        past = Past(log, feed, hub, blocks)
        resumer = Resumer(settings, log, feed, hub, blocks, past, metrics)
        authority = self.authority = Authority(settings, metrics)
        limits = self.limits = Limits(settings, metrics)
        spans = self.spans = hub.spans = _spans(settings, metrics)
        publisher = self.publisher = Publisher(settings, log, feed, metrics, spans)
        statistics = self.statistics = Statistics(settings, hub, feed, log, redis, metrics)
        pause = self.pause = Pause(settings.pause_file)
        readiness = Readiness(settings, log, feed, hub, redis, authority, pause)
        framework = api.build(settings, ring, authority, past, statistics, readiness, metrics, self._lifespan)
        check = _schema_check(settings, metrics)
        answers = self.answers = Answers(settings, framework)
        publishes = Publishes(settings, authority, limits, check, pause, hub, publisher, metrics, spans, answers)
        streams = Streams(settings, authority, limits, hub, resumer, metrics, publishes)
        shared = Shares(settings, metrics, streams) if settings.time_percent_per_address else streams
        self.application: Application = cors.allow(shared, settings.cors_origins)
        self._gauges(ring, readiness)

    async def drain(self) -> None:
        """End every stream within SSE_DRAIN_SECONDS."""
        self.hub.draining = True
        self.statistics.tick()
        await self.hub.drain(self.settings.drain_seconds)

    def send_off(self) -> None:
        """Begin to say bye on every stream, because what is between this replica and its clients goes."""
        self._sending_off = asyncio.create_task(self.hub.send_off(SEND_OFF_SECONDS), name="send off")

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncGenerator[None]:
        tasks = [
            self._supervised(name, routine())
            for name, routine in (
                ("feed", self.feed.run),
                ("hub", self.hub.run),
                ("heartbeats", self.hub.beat),
                ("redis history", self.redis_history.run),
                ("statistics", self.statistics.run),
                ("authority", self.authority.run),
                ("limits", self.limits.run),
                *([("spans", self.spans.run)] if self.spans is not None else []),
            )
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self.limits.close()
            await self.log.close()
            if self.spans is not None:
                await self.spans.flush()

    def _supervised(self, name: str, routine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.critical("the task %s has failed, so this replica stops", name, exc_info=error)
                self.on_failure()

        task = asyncio.create_task(routine, name=name)
        task.add_done_callback(done)
        return task

    def _gauges(self, ring: Ring, readiness: Readiness) -> None:
        gauge, redis = self.metrics.gauge, self.redis_history
        gauge("sse_subscribers", "Streams open now", lambda: self.hub.subscribers)
        gauge("sse_backlog_bytes", "Bytes that slow readers have not taken", lambda: self.hub.backlog.bytes)
        gauge("sse_ring_events", "Records held in memory for resumes", lambda: len(ring))
        gauge("sse_ring_bytes", "Bytes of their frames", lambda: ring.bytes)
        gauge("sse_ring_seconds", "Age of the oldest of them: how far back memory alone resumes", lambda: ring.seconds)
        gauge("sse_log_lag_records", "Records in the log that this replica has not read", lambda: self.feed.lag)
        gauge("sse_log_up", "1 while the log (Kafka) answers", lambda: float(not self.feed.error))
        gauge(
            "sse_redis_up",
            "1 while Redis answers; absent without a Redis",
            lambda: None if redis.state == "disabled" else float(redis.state == "ok"),
        )
        gauge("sse_ready", "1 while /health/ready says 200", lambda: float(readiness.check()[1] == 200))
        gauge(
            "sse_credential_files_refused",
            "Files of keys whose present content is refused, so that their previous one stays in force",
            lambda: float(self.authority.broken),
        )
        gauge(
            "sse_issuers_failing",
            "Issuers whose keys could not be fetched when they were asked last",
            lambda: float(self.authority.failing),
        )
        gauge("sse_publishing_paused", "1 while the operator has paused publishing", lambda: float(self.pause.active))
        gauge("sse_draining", "1 while streams are being ended", lambda: float(self.hub.draining))


def _schema_check(settings: Settings, metrics: Metrics) -> SchemaCheck | None:
    if not settings.schemas_dir:
        return None
    from sse_app.access.schemas import Schemas  # noqa: PLC0415 - the library takes 11 MB: only who uses it pays

    return Schemas(settings.schemas_dir, settings.time_percent_per_address / 100, metrics).check


def _spans(settings: Settings, metrics: Metrics) -> Spans | None:
    return Spans(settings, metrics) if settings.otlp_endpoint else None


def _log(settings: Settings) -> Log:
    return KafkaLog(settings) if settings.kafka_brokers else EmbeddedLog(settings.embedded_events)
