"""GET /api/v1/stream as pure ASGI, in front of the framework: headers and last chunk by send(), all else directly."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, Protocol, get_args
from urllib.parse import parse_qs

from sse_app.access.authority import Access, Authority
from sse_app.access.limits import Limits
from sse_app.base import channels, event, request_context
from sse_app.base.channels import Filter
from sse_app.base.event import Heartbeat, jittered
from sse_app.base.metrics import End, Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.fanout.hub import Hub, Subscriber, chunk
from sse_app.fanout.socket_writer import Wire
from sse_app.log.cursor import Cursor
from sse_app.log.interface import LogUnavailableError
from sse_app.resume.blocks import GapError
from sse_app.resume.resumer import LaterError, Resumer, Start

logger = logging.getLogger(__name__)
PATH = "/api/v1/stream"
NEXT = b"sse-later"  # a request header: "503" where NGINX, told so, asks the next replica
EXTENSION = "sse_app.connection"  # in the scope's extensions, where the server offers direct writes
_LIMITED_RETRIES = 10  # times the usual wait: an address that holds too many streams comes back seldom
_WRITE_BYTES = 65_536  # replayed at once: a fraction of what the transport may hold

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Connection(Protocol):
    """What the server's protocol offers: its transport, and to tell a stream when it pauses, resumes or is gone."""

    transport: asyncio.Transport

    def begin_stream(self, scope: Scope, subscriber: Subscriber) -> None:
        """From now on the subscriber's wire is written to, and the request's scope is empty."""
        ...

    def end_stream(self) -> None:
        """The subscriber writes no more."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """A stream request that is valid."""

    wanted: Filter
    last_event_id: str
    heartbeat: Heartbeat


class Streams:
    """ASGI application: serves streams itself and hands everything else on."""

    def __init__(
        self,
        settings: Settings,
        authority: Authority,
        limits: Limits,
        hub: Hub,
        resumer: Resumer,
        metrics: Metrics,
        otherwise: Application,
    ) -> None:
        self._settings = settings
        self._authority = authority
        self._limits = limits
        self._hub = hub
        self._resumer = resumer
        self._metrics = metrics
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch by path alone, so that this costs other routes nothing."""
        if scope["type"] != "http":
            await self._otherwise(scope, receive, send)
            return
        request_context.begin(scope["headers"])
        if scope["path"] != PATH:
            await self._otherwise(scope, receive, send)
            return
        try:
            request = self._parse(scope)
            access = self._authority.access(scope, ticket=True)
            access.require("subscribe", request.wanted)
        except Problem as problem:
            await answer(send, problem.status, problem.headers, problem.body())
            return
        if scope["method"] == "HEAD":
            await answer(send, 200, HEADERS)
            return
        # Never a 5xx, nor a 429: any answer but 200 ends a browser's EventSource for good.
        if not await self._limits.enter(access.address):
            retry = jittered(_LIMITED_RETRIES * self._settings.retry_milliseconds)
            body = event.control("bye", {"reason": "limit"}, None, retry)
            await answer(send, 200, {**HEADERS, "connection": "close"}, body)
            return
        try:
            await self._admitted(scope, receive, send, request, access)
        finally:
            self._limits.leave(access.address)

    async def _admitted(self, scope: Scope, receive: Receive, send: Send, request: Request, access: Access) -> None:
        try:
            start = await self._begin(request)
        except LaterError:
            if (NEXT, b"503") in scope["headers"]:
                await answer(send, 503, {"connection": "close"})
                return
            body = event.retry_only(jittered(self._settings.retry_milliseconds))
            await answer(send, 200, {**HEADERS, "connection": "close"}, body)
            return
        if access.resumes_only and not start.proven:
            problem = self._authority.stale()
            await answer(send, problem.status, problem.headers, problem.body())
            return
        await self._serve(scope, receive, send, request, start, access)

    async def _begin(self, request: Request) -> Start:
        if self._hub.draining or not self._hub.open or len(self._hub.streams) >= self._settings.max_streams:
            raise LaterError
        return await self._resumer.start(request.last_event_id)

    def _parse(self, scope: Scope) -> Request:
        if scope["http_version"] == "1.0":  # no chunks there, and direct writes are chunks
            raise Problem(505, "streams need HTTP/1.1", {"connection": "close"})
        if scope["method"] not in ("GET", "HEAD"):
            raise Problem(405, "streams are read by GET", {"allow": "GET, HEAD"})
        try:
            query = parse_qs(scope["query_string"].decode(), keep_blank_values=True, errors="strict")
        except ValueError as error:
            raise Problem(400, "the query is not UTF-8") from error
        names = query.get("channel", [])
        if not names:
            raise Problem(400, "channel: at least one is needed, as in ?channel=orders&channel=stock.*")
        if len(names) > self._settings.max_channels_per_stream:
            raise Problem(
                400, f"channel: {len(names)} given, at most {self._settings.max_channels_per_stream} are allowed"
            )
        traced = query.get("trace", ["0"])[-1]
        if traced not in ("0", "1"):
            raise Problem(400, "trace: 0 or 1")
        try:
            wanted = channels.parse(names, traced == "1")
        except ValueError as error:
            raise Problem(400, f"channel: {error}") from error
        heartbeat: Any = query.get("heartbeat", ["id"])[-1]
        if heartbeat not in get_args(Heartbeat):
            raise Problem(400, "heartbeat: id, event or comment")
        last_event_id = query.get("last_event_id", [""])[-1]
        for name, value in scope["headers"]:
            if name == b"last-event-id" and value:
                last_event_id = value.decode("utf-8", "replace")
        return Request(wanted, last_event_id, heartbeat)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, request: Request, start: Start, access: Access
    ) -> None:
        hub = self._hub
        subscriber = Subscriber(request.wanted, start.cursor, request.heartbeat)
        await send({"type": "http.response.start", "status": 200, "headers": _encoded(HEADERS)})
        connection: Connection | None = scope.get("extensions", {}).get(EXTENSION)
        output: _Direct | _Fallback
        if connection is not None:
            try:
                output = _Direct(connection, scope, subscriber, self._settings)
            except RuntimeError:  # its client left while the cursor was looked up
                return
            self._metrics.streams["direct"] += 1
        else:
            self._metrics.streams["send"] += 1
            output = _Fallback(send, receive, subscriber, hub, self._settings.heartbeat_seconds)
        hub.add(subscriber, start.history)
        self._authority.enter(subscriber, access.principal)
        end: End = "error"
        try:
            async with output:
                await output.write(start.first)
                end = await self._pump(subscriber, output, start)
                await self._finish(subscriber, output, send)
        finally:
            hub.remove(subscriber)
            self._authority.leave(subscriber)
            self._ended(end, subscriber)

    def _ended(self, end: End, subscriber: Subscriber) -> None:
        self._metrics.ends[end] += 1
        if end not in ("client", "bye"):
            logger.info("stream ended (%s) at offset %d of %d", end, subscriber.cursor, self._hub.position - 1)

    async def _pump(self, subscriber: Subscriber, output: _Direct | _Fallback, start: Start) -> End:
        """Replay until live, be live until slow, and so on until the stream ends; say why it does."""
        hub, ring = self._hub, self._hub.ring
        if start.past is not None and not await self._replay(subscriber, output, start.past):
            return _why(subscriber) if subscriber.lost or subscriber.ending or subscriber.paused else "log"
        while await self._writable(subscriber):
            following = subscriber.cursor + 1
            if following < ring.start or not hub.open:
                return "behind"  # off the ring: it resumes by id
            if following < hub.position:
                frames, stop = ring.collect(following, hub.position, subscriber.wanted, _WRITE_BYTES)
                if frames:
                    await output.write(frames)
                subscriber.cursor = stop - 1
                await asyncio.sleep(0)
            elif following > hub.position:
                # read by this replica, and about to be swept
                await asyncio.wait((hub.moved(), subscriber.notified()), return_when=asyncio.FIRST_COMPLETED)
            else:
                await output.live(hub)
        return _why(subscriber)

    async def _replay(self, subscriber: Subscriber, output: _Direct | _Fallback, cursor: Cursor) -> bool:
        """Write what the ring no longer holds; True once it holds the cursor, and still the same record there."""
        while await self._writable(subscriber):
            held = self._hub.ring.at(cursor.offset)
            if held is not None:
                return held.cursor == cursor
            try:
                frames, cursor = await self._resumer.past.collect(cursor, subscriber.wanted, _WRITE_BYTES)
            except GapError as error:  # said here, for a resume would find the same block and end again
                try:
                    head = self._resumer.head_after(error)
                except LaterError:
                    break
                await output.write(event.gap(error.reason, str(cursor), str(head)))
                subscriber.cursor = head.offset
                return True
            except LogUnavailableError:
                break
            if frames:
                await output.write(frames)
            subscriber.cursor = cursor.offset
            await asyncio.sleep(0)
        return False

    async def _writable(self, subscriber: Subscriber) -> bool:
        """Wait while the reader is slow; False when the stream is to end."""
        while not (subscriber.lost or subscriber.ending):
            if not subscriber.paused:
                return True
            if not await subscriber.wait(self._settings.slow_reader_seconds):
                break
        return False

    async def _finish(self, subscriber: Subscriber, output: _Direct | _Fallback, send: Send) -> None:
        if subscriber.paused and not subscriber.lost:
            # nothing more can be said to it, and waiting for it would hold up a drain
            output.abort()
            while not subscriber.lost:
                await subscriber.wait()
        if subscriber.lost:
            return
        if subscriber.reason:
            retry = jittered(self._settings.retry_milliseconds)
            id_ = self._hub.id_at(subscriber.cursor)
            await output.write(event.control("bye", {"reason": subscriber.reason}, id_, retry))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _why(subscriber: Subscriber) -> End:
    """Why a stream is over that may not be written to."""
    if subscriber.lost:
        return "client"
    if subscriber.ending:
        return "bye" if subscriber.reason else "log"
    return "slow"


class _Direct:
    """Writes by the connection's wire and is swept by the hub while live."""

    def __init__(self, connection: Connection, scope: Scope, subscriber: Subscriber, settings: Settings) -> None:
        self._connection = connection
        self._scope = scope
        self._subscriber = subscriber
        transport = connection.transport
        transport.set_write_buffer_limits(high=settings.write_buffer_bytes)
        self._wire = Wire(transport)
        made: socket.socket = transport.get_extra_info("socket")
        if made.family == socket.AF_UNIX:  # inherits nothing from its listener
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)

    async def __aenter__(self) -> None:
        self._subscriber.wire = self._wire
        self._connection.begin_stream(self._scope, self._subscriber)

    async def __aexit__(self, *_: object) -> None:
        self._connection.end_stream()
        self._wire.close()

    async def write(self, frames: bytes) -> None:
        try:
            self._wire.write(chunk(frames))
        except RuntimeError:  # closed, and connection_lost has not been told yet
            self._subscriber.lose()

    async def live(self, hub: Hub) -> None:
        """Be swept until something happens that the stream itself must see to."""
        hub.join(self._subscriber)
        await self._subscriber.notified()
        hub.leave(self._subscriber)

    def abort(self) -> None:
        self._wire.abort()


class _Fallback:
    """Plain send(), for a server without the hook: follows the hub by itself, at a task switch per sweep."""

    def __init__(
        self, send: Send, receive: Receive, subscriber: Subscriber, hub: Hub, heartbeat_seconds: float
    ) -> None:
        self._send = send
        self._receive = receive
        self._subscriber = subscriber
        self._hub = hub
        self._heartbeat_seconds = heartbeat_seconds

    async def __aenter__(self) -> None:
        self._watch = asyncio.create_task(self._disconnected())

    async def __aexit__(self, *_: object) -> None:
        self._watch.cancel()

    async def _disconnected(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._subscriber.lose()

    async def write(self, frames: bytes) -> None:
        await self._send({"type": "http.response.body", "body": frames, "more_body": True})

    async def live(self, hub: Hub) -> None:
        """Wait for the next sweep, the end, or the time of a heartbeat."""
        events = (hub.moved(), self._subscriber.notified())
        done, _ = await asyncio.wait(events, timeout=self._heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        id_ = hub.id_at(self._subscriber.cursor)
        if not done and id_ is not None:
            await self.write(event.heartbeat(self._subscriber.heartbeat, id_))

    def abort(self) -> None:
        """Never paused, hence never asked for: send() itself waits for a slow reader."""


HEADERS = {"content-type": "text/event-stream", "cache-control": "no-store, no-transform", "x-accel-buffering": "no"}


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [*((name.encode(), value.encode()) for name, value in headers.items()), request_context.header()]


async def answer(send: Send, status: int, headers: dict[str, str], body: bytes = b"") -> None:
    """A whole answer, with what every one carries."""
    if body:  # without it the server would send chunks, to HTTP/1.0 too
        headers = {**headers, "content-length": str(len(body))}
    await send({"type": "http.response.start", "status": status, "headers": _encoded(headers)})
    await send({"type": "http.response.body", "body": body, "more_body": False})
