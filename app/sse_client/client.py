"""Publishes that are safe to repeat, and streams that resume after a cut and say what they lost."""

from __future__ import annotations

import asyncio
import random
import time
import uuid
from asyncio import sleep
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, cast

import httpx

from sse_client.reader import Message, Reader

_RETRY_MS = 2000  # before the service has said when to come back
_LONGEST_SECONDS = 60.0  # between two attempts
_SILENCE_SECONDS = 60.0  # four default heartbeats: after this silence a connection is dead
_CONNECT_SECONDS = 10.0
_PUBLISH_SECONDS = 15.0  # more than the deadline of the service (5 s by default) and the time of a proxy
_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})  # statuses that are worth another attempt


class RefusedError(Exception):
    """The service has refused for good; `problem` is its problem document (RFC 9457), or empty."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(f"{status}: {problem.get('detail') or problem.get('title') or 'refused'}")
        self.status = status
        self.problem = problem


class OutcomeUnknownError(Exception):
    """No answer in time: the events are stored or not. To be sure, publish them again with the same `key`."""

    def __init__(self, key: str) -> None:
        super().__init__(f"the outcome is not known: publish the same events again with key={key!r}")
        self.key = key


@dataclass(frozen=True, slots=True)
class Gap:
    """This reader has lost the events after `requested`; it goes on after `resumed_from`."""

    requested: str
    resumed_from: str
    reason: str  # expired, truncated or malformed


@dataclass(frozen=True, slots=True)
class Bye:
    """The service ends the stream, and the client comes back by itself."""

    reason: str  # draining, expired, revoked or limit


class Client:
    """A client of the service at a URL; use it as an async context manager."""

    def __init__(
        self, url: str, *, headers: Mapping[str, str] | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{url.rstrip('/')}/api/v1",
            headers=dict(headers or {}),
            transport=transport,
            timeout=httpx.Timeout(_CONNECT_SECONDS, read=_SILENCE_SECONDS),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def publish(self, *events: Mapping[str, Any], key: str | None = None, seconds: float = 30) -> list[str]:
        """Publish events, all or none, and return their ids once they are stored.

        An attempt that fails is repeated with the same key for `seconds`, so that the events are stored once.

        Raises:
            RefusedError: nothing was stored, and another attempt would not change that.
            OutcomeUnknownError: there was no answer in time.
        """
        key = key or str(uuid.uuid4())
        until = time.monotonic() + seconds
        failures = 0
        while (left := until - time.monotonic()) > 0:
            after = 0.0
            try:
                async with asyncio.timeout(left):
                    answer = await self._http.post(
                        "/events", json=events, headers={"Idempotency-Key": key}, timeout=_PUBLISH_SECONDS
                    )
            except (httpx.TransportError, TimeoutError):
                pass
            else:
                if answer.is_success:
                    return cast("list[str]", answer.json()["ids"])
                if answer.status_code not in _LATER:
                    raise RefusedError(answer.status_code, _problem(answer))
                after = _seconds(answer.headers.get("retry-after"))
            failures += 1
            await sleep(min(max(after, _backoff(0.1, failures)), max(0.0, until - time.monotonic())))
        raise OutcomeUnknownError(key)

    async def stream(self, *channels: str, last_event_id: str = "") -> AsyncGenerator[Message | Gap | Bye]:
        """Events of these channels (names, `prefix.*`, `*`), without end; close it with `contextlib.aclosing`.

        It reconnects by itself, at the time that the service asks for, and resumes after the last event that it gave.
        A Gap says that events were lost. `last_event_id` resumes after the `id` of an earlier Message.

        Raises:
            RefusedError: the request is invalid, or the credential does not allow it.
        """
        retry, failures = _RETRY_MS, 0
        while True:
            reader = Reader(last_event_id)
            try:
                async for found in self._connection(channels, reader):
                    yield found
            except httpx.TransportError:
                pass  # the connection was cut, or it was silent for too long
            last_event_id = reader.last_event_id
            failures = failures + 1 if reader.retry is None else 0
            retry = retry if reader.retry is None else reader.retry
            await sleep(_backoff(retry / 1000, failures) if failures else retry / 1000)  # already spread by the service

    async def _connection(self, channels: Sequence[str], reader: Reader) -> AsyncGenerator[Message | Gap | Bye]:
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
        if reader.last_event_id:
            headers["Last-Event-ID"] = reader.last_event_id
        async with self._http.stream("GET", "/stream", params={"channel": channels}, headers=headers) as answer:
            if not answer.is_success:
                if answer.status_code in _LATER:
                    return
                await answer.aread()
                raise RefusedError(answer.status_code, _problem(answer))
            async for part in answer.aiter_bytes():
                for message in reader.feed(part):
                    yield _understood(message)


def _understood(message: Message) -> Message | Gap | Bye:
    if message.event == "gap":
        return Gap(**message.json())
    return Bye(**message.json()) if message.event == "bye" else message


def _problem(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        document: Any = answer.json()
    except ValueError:
        return {}
    return cast("Mapping[str, Any]", document) if isinstance(document, dict) else {}


def _seconds(retry_after: str | None) -> float:
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else 0.0


def _backoff(seconds: float, failures: int) -> float:
    """Twice as long each time, and spread, so that clients do not all come back at once."""
    return min(_LONGEST_SECONDS, seconds * 2 ** min(failures, 16)) * random.uniform(0.5, 1)  # noqa: S311 - spreads load
