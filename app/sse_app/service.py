"""One replica: what it is made of, in the order in which it depends on each other."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from sse_app.access.authority import Authority
from sse_app.access.limits import Limits
from sse_app.base.metrics import Metrics
from sse_app.base.settings import Settings
from sse_app.fanout.feed import Feed
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Ring
from sse_app.http import api, cors
from sse_app.http.publish import Intake
from sse_app.http.publisher import Publisher
from sse_app.http.stats import Statistics
from sse_app.http.stream import Application, Streams
from sse_app.log.duplicates import Window
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Log
from sse_app.log.kafka import KafkaLog
from sse_app.resume.blocks import Past
from sse_app.resume.redis_history import History
from sse_app.resume.resumer import Resumer

if TYPE_CHECKING:
    from sse_app.access.schemas import Schemas

logger = logging.getLogger(__name__)


class Service:
    """Builds, starts and stops everything; `application` is what the server runs."""

    def __init__(self, settings: Settings, log: Log | None = None) -> None:
        self.settings = settings
        self.on_failure: Callable[[], None] = lambda: None  # a background task has died: nothing can be trusted
        self.metrics = Metrics()
        self.log = log or _log(settings)
        ring = Ring(settings.ring_events, settings.ring_bytes)
        self.hub = Hub(ring, self.metrics, settings.heartbeat_seconds)
        self.history = History(settings)
        window = Window(settings.dedupe_window, settings.window_seconds)
        self.feed = Feed(self.log, ring, window, self.hub, self.metrics, self.history, settings.retention_seconds / 2)
        self.statistics = Statistics(settings, self.hub, self.feed, self.log, self.history, self.metrics)
        self.authority = Authority(settings, self.metrics)
        self.limits = Limits(settings, self.metrics)
        self.schemas = _schemas(settings)
        self.publisher = Publisher(settings, self.log, self.feed, self.metrics)
        past = Past(self.log, self.feed, self.hub, self.history)
        resumer = Resumer(settings, self.log, self.feed, self.hub, past, self.metrics)
        framework = api.build(self, self._lifespan)
        intake = Intake(self, framework)
        streams = Streams(settings, self.authority, self.limits, self.hub, resumer, self.metrics, intake)
        self.application: Application = cors.allow(streams, settings.cors_origins)
        self._gauges(ring)

    def health(self) -> tuple[api.Health, int]:
        """Readiness, and its HTTP status."""
        error = self.feed.error or ("" if self.hub.open else "catching up")
        checks = {"kafka" if self.log.kind == "kafka" else "log": error or "ok", "redis": self.history.state}
        if self.settings.auth:
            checks["credentials"] = self.authority.state
        if error or self.hub.draining:
            return api.Health(status="draining" if self.hub.draining else "unavailable", checks=checks), 503
        degraded = self.history.state == "unavailable" or bool(self.authority.broken)
        return api.Health(status="degraded" if degraded else "ok", checks=checks), 200

    async def drain(self) -> None:
        """End every stream within SSE_DRAIN_SECONDS."""
        self.hub.draining = True
        self.statistics.close()
        await self.hub.drain(self.settings.drain_seconds)

    @asynccontextmanager
    async def _lifespan(self, _: FastAPI) -> AsyncGenerator[None]:
        tasks = [
            self._supervised(name, routine())
            for name, routine in (
                ("feed", self.feed.run),
                ("hub", self.hub.run),
                ("heartbeats", self.hub.beat),
                ("history", self.history.run),
                ("statistics", self.statistics.run),
                ("authority", self.authority.run),
                ("limits", self.limits.run),
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

    def _supervised(self, name: str, routine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.critical("%s has failed, stopping", name, exc_info=error)
                self.on_failure()

        task = asyncio.create_task(routine, name=name)
        task.add_done_callback(done)
        return task

    def _gauges(self, ring: Ring) -> None:
        gauge = self.metrics.gauge
        gauge("sse_subscribers", "Streams open now", lambda: len(self.hub.streams))
        gauge("sse_ring_events", "Records held in memory for resumes", lambda: len(ring))
        gauge("sse_ring_bytes", "Bytes of their frames", lambda: ring.bytes)
        gauge("sse_ring_seconds", "Age of the oldest of them: how far back memory alone resumes", lambda: ring.seconds)
        gauge("sse_log_lag_records", "Records in the log that this replica has not read", lambda: self.feed.lag)
        gauge("sse_log_up", "1 while the log (Kafka) answers", lambda: float(not self.feed.error))
        gauge(
            "sse_redis_up",
            "1 while Redis answers; absent without a Redis",
            lambda: None if self.history.state == "disabled" else float(self.history.state == "ok"),
        )
        gauge("sse_ready", "1 while /health/ready says 200", lambda: float(self.health()[1] == 200))
        gauge(
            "sse_credential_files_refused",
            "Files of keys whose present content is refused, so that their previous one stays in force",
            lambda: float(self.authority.broken),
        )
        gauge("sse_draining", "1 while streams are being ended", lambda: float(self.hub.draining))


def _schemas(settings: Settings) -> Schemas | None:
    if not settings.schemas_dir:
        return None
    from sse_app.access.schemas import Schemas  # noqa: PLC0415 - the library takes 11 MB: only who uses it pays

    return Schemas(settings.schemas_dir)


def _log(settings: Settings) -> Log:
    if not settings.kafka_brokers:
        return EmbeddedLog(settings.embedded_events)
    return KafkaLog(settings)
