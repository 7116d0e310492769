"""Recent events per channel in Redis: a convenience for readers, never on the path of a live delivery or a resume.

Every replica writes the same member (the id is in it) at the same score, so that they agree without speaking. What is
offered while Redis is away is dropped beyond a bound: the ring and Kafka hold the truth.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import Any

from redis import RedisError
from redis.asyncio import Redis

from sse_app.ids import Cursor
from sse_app.log import Record
from sse_app.settings import Settings

_PENDING = 10_000  # events kept for Redis while it is slow or away, about 5 MB
_BATCH = 200  # events per round trip
_RETRY_SECONDS = 1.0
_ANSWER_SECONDS = 2.0  # a Redis that takes longer is away
_QUIET_SECONDS = 5.0  # how soon a Redis with nothing to write is asked whether it lives
logger = logging.getLogger(__name__)


class History:
    """Writes in the background; without a Redis it does nothing."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._pending: deque[Record] = deque(maxlen=_PENDING)
        self._offered = asyncio.Event()
        self._forget = False
        self._client: Any = None  # redis-py types its commands as "awaitable or not"
        self.state = "unavailable" if settings.redis_host else "disabled"

    def offer(self, record: Record) -> None:
        """Take an event, never waiting."""
        if self._settings.redis_host:
            self._pending.append(record)
            self._offered.set()

    def forget(self) -> None:
        """Have everything dropped: the log's content has changed."""
        self._pending.clear()
        self._forget = True
        self._offered.set()

    async def read(self, channel: str, limit: int) -> list[dict[str, str]] | None:
        """The newest events of a channel, oldest first; None when Redis cannot tell."""
        if self.state != "ok":
            return None
        try:
            members = await self._client.zrange(self._key(channel), -limit, -1)
        except (RedisError, OSError):
            return None
        return [json.loads(member) for member in members]

    async def run(self) -> None:
        """Write for ever."""
        if not self._settings.redis_host:
            return
        while True:
            try:
                async with self._connection() as self._client:
                    await self._client.ping()
                    self._set("ok")
                    while True:
                        await self._write()
            except (RedisError, OSError) as error:
                self._set("unavailable", str(error))
            await asyncio.sleep(_RETRY_SECONDS)

    def _connection(self) -> Any:
        settings = self._settings
        return Redis(
            host=settings.redis_host,
            port=settings.redis_port,
            password=settings.redis_password(),
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
        )

    def _set(self, state: str, detail: str = "") -> None:
        if state != self.state:
            logger.log(logging.INFO if state == "ok" else logging.WARNING, "redis: %s %s", state, detail)
        self.state = state

    async def _write(self) -> None:
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
        batch = [self._pending[index] for index in range(min(_BATCH, len(self._pending)))]
        pipeline = self._client.pipeline(transaction=False)
        for record in batch:
            key = self._key(record.draft.channel)
            pipeline.zadd(key, {_member(record): record.offset})
            pipeline.zremrangebyrank(key, 0, -self._settings.history_events - 1)
            pipeline.expire(key, self._settings.retention_seconds)
        await pipeline.execute()
        for _ in batch:
            if self._pending:
                self._pending.popleft()

    def _key(self, channel: str) -> str:
        return f"{self._settings.topic}:history:{channel}"


def _member(record: Record) -> str:
    draft = record.draft
    cursor = Cursor(record.offset, record.fingerprint)
    member = {"id": str(cursor), "event": draft.event, "data": draft.data.decode()}
    if draft.traceparent:
        member["traceparent"] = draft.traceparent
    return json.dumps(member, ensure_ascii=False)
