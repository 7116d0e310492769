"""Spans of publishes, appends and deliveries, sent to a collector by OTLP over HTTP; nothing of it runs without one.

A publish with a sampled traceparent has spans in its publisher's trace. Of those without a traceparent, one in
`otlp_sample` begins a trace of its own, and its events carry it like any other. Spans wait in a bounded queue. A
collector that is slow or gone loses them, which a counter tells, and holds up nothing: each exchange with it has a
bound for all of its time, so that an answer which comes byte by byte counts as none.
"""

import asyncio
import itertools
import logging
import os
import re
import ssl
import time
from collections import deque
from collections.abc import Iterable
from contextvars import ContextVar
from urllib.parse import urlsplit

from sse_app.base import otlp, request_context
from sse_app.base.metrics import Metrics
from sse_app.base.otlp import Attributes, Span
from sse_app.base.settings import Settings

_PATH = "/v1/traces"  # https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
_WAITING = 4096  # spans of about 500 bytes each
_BATCH = 512
_EVERY_SECONDS = 1.0
_SECONDS = 5.0  # for a whole exchange, from the name of the collector to the status of its answer
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r\n]")  # RFC 9112, section 4
_SWEEP = 16  # spans of one sweep at most: traces are samples, and a sweep may hold hundreds of events
logger = logging.getLogger(__name__)


class Open:
    """A span that has not ended."""

    __slots__ = ("begun", "events", "id", "parent", "trace_id")

    def __init__(self, trace_id: str, parent: str) -> None:
        self.trace_id, self.parent = trace_id, parent
        self.id = os.urandom(8).hex()
        self.begun = time.time_ns()
        self.events = 0


_current: ContextVar[Open | None] = ContextVar("span", default=None)


class Spans:
    """Those of one replica."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._url = urlsplit(settings.otlp_endpoint)
        self._sample = settings.otlp_sample
        self._turn = itertools.count(1)
        self._metrics = metrics
        self._waiting: deque[Span] = deque()
        self._error = ""
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._resource = {"service.name": "sse", "service.instance.id": settings.replica}

    def begin(self) -> Open | None:
        """Begin the span of a publish; None where its trace is not sampled."""
        traceparent, span = request_context.traceparent(), None
        if traceparent:
            span = Open(traceparent[3:35], traceparent[36:52]) if _sampled(traceparent) else None
        elif self._sample and not next(self._turn) % self._sample:
            span = Open(os.urandom(16).hex(), "")
            request_context.trace(f"00-{span.trace_id}-{span.id}-01")
        _current.set(span)
        return span

    def end(self, span: Open, status: int) -> None:
        """End the span of a publish."""
        attributes = {"http.request.method": "POST", "http.response.status_code": status, "sse.events": span.events}
        error = f"answered by {status}" if status >= 500 else ""
        self._add(span, "publish", otlp.SERVER, attributes, error)

    def append(self, events: int) -> Open | None:
        """Begin the span of what this publish gives to the log; None where it has no span."""
        outer = _current.get()
        if outer is None:
            return None
        span = Open(outer.trace_id, outer.id)
        outer.events = span.events = events
        return span

    def appended(self, span: Open, error: str) -> None:
        """End that span."""
        self._add(span, "append", otlp.INTERNAL, {"sse.events": span.events}, error)

    def delivered(self, traceparents: Iterable[str], begun: int, events: int, writes: int) -> None:
        """Add a span to each sampled trace of a sweep that has just ended."""
        attributes = {"sse.events": events, "sse.writes": writes}
        for traceparent in itertools.islice(filter(_sampled, dict.fromkeys(traceparents)), _SWEEP):
            span = Open(traceparent[3:35], traceparent[36:52])
            span.begun = begun
            self._add(span, "deliver", otlp.CONSUMER, attributes)

    def _add(self, span: Open, name: str, kind: int, attributes: Attributes, error: str = "") -> None:
        if len(self._waiting) >= _WAITING:
            self._metrics.spans["dropped"] += 1
            return
        ended = max(span.begun, time.time_ns())
        parts = (span.trace_id, span.id, span.parent, name, kind, span.begun, ended, attributes, error)
        self._waiting.append(Span(*parts))

    async def run(self) -> None:
        """Send what waits, for ever."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(_BATCH, len(self._waiting)))]
                await self._send(batch)

    async def flush(self) -> None:
        """Send the last ones, at the end of this replica."""
        if self._waiting and not self._error:
            await self._send(list(self._waiting)[:_BATCH])

    async def _send(self, batch: list[Span]) -> None:
        try:
            body = await asyncio.to_thread(otlp.request, self._resource, "sse_app", batch)
            async with asyncio.timeout(_SECONDS):
                status = await self._post(body)
            error = "" if status == 200 else f"it answered {status}"
        except TimeoutError:
            error = f"no answer within {_SECONDS:g} s"
        except (OSError, ValueError) as failed:
            error = str(failed) or type(failed).__name__
        self._metrics.spans["failed" if error else "sent"] += len(batch)
        if bool(error) != bool(self._error):
            what = f"takes no spans, and they are lost: {error}" if error else "takes spans again"
            logger.log(logging.WARNING if error else logging.INFO, "the collector %s %s", self._url.netloc, what)
        self._error = error

    async def _post(self, body: bytes) -> int:
        """Send a request and return the status of the answer, of which no more is read."""
        url, tls = self._url, self._tls
        port = url.port or (80 if tls is None else 443)
        reader, writer = await asyncio.open_connection(url.hostname, port, ssl=tls)
        try:
            head = (
                f"POST {url.path.rstrip('/')}{_PATH} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n"
                f"Content-Type: application/x-protobuf\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body)
            await writer.drain()
            line = await reader.readline()
        finally:
            writer.transport.abort()
        status = _STATUS.match(line)
        if status is None:
            raise ValueError("its answer is not HTTP" if line else "it closed the connection")
        return int(status[1])


def _sampled(traceparent: str) -> bool:
    """Whether a collector wants this trace: the last bit of its flags (Trace Context, section 3.2.2.5.1)."""
    return traceparent[-1:] in "13579bdf" and len(traceparent) == 55
