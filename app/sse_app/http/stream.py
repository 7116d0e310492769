"""/api/v1/stream, without the framework: the head and the last chunk by send(), everything else directly."""

import asyncio
import logging
from collections.abc import Awaitable
from dataclasses import dataclass

from sse_app.access.authority import Access, Authority
from sse_app.access.limits import Limits
from sse_app.base import account, request_context
from sse_app.base.asgi import Application, Receive, Scope, Send, answer, encoded, header_values
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import StreamEnd
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.event_stream import jittered
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry
from sse_app.fanout.subscriber import Subscriber
from sse_app.http import offer, stream_request
from sse_app.http.stream_output import HEADERS, DirectOutput, Output, SendOutput, connection_of
from sse_app.http.stream_request import StreamRequest
from sse_app.http.uvicorn_protocol import StreamProtocol
from sse_app.log.cursor import Cursor
from sse_app.log.interface import LogUnavailableError
from sse_app.resume.blocks import GapError
from sse_app.resume.resumer import LaterError, Resumer, Start

logger = logging.getLogger(__name__)
PATH = "/api/v1/stream"
LATER = b"sse-later"  # a request header: "503" where NGINX then asks the next replica
_LIMITED_RETRIES = 10  # times the usual wait, for an address that holds too many streams
_WRITE_BYTES = 65_536  # replayed at once: a fraction of what the transport may hold


@dataclass(frozen=True, slots=True)
class Streams:
    """ASGI application: serves streams itself and hands every other request on."""

    settings: Settings
    authority: Authority
    limits: Limits
    hub: Hub
    resumer: Resumer
    metrics: Metrics
    otherwise: Application

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Dispatch by path alone, and without a coroutine of its own, so that other routes pay nothing for it."""
        if scope["type"] != "http":
            return self.otherwise(scope, receive, send)
        if scope["path"] == offer.PATH:
            return offer.make(scope, send, self.hub, self.settings.replica, self._serves())
        request_context.begin(header_values(scope, request_context.HEADER), header_values(scope, b"traceparent"))
        if self.authority.has_issuers:
            return self._prepared(scope, receive, send)
        return (self._stream if scope["path"] == PATH else self.otherwise)(scope, receive, send)

    async def _prepared(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self.authority.prepare(scope)
        except Problem as problem:
            await problem.answer(send)
            return
        await (self._stream if scope["path"] == PATH else self.otherwise)(scope, receive, send)

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            origins = None if self.settings.auth else self.settings.cors_origins
            if scope["method"] == "POST":
                self.authority.access(scope, ticket=True)  # who has no credential sends no body
            request = await stream_request.read(scope, receive, self.settings.max_channels_per_stream, origins)
            access = self.authority.access(scope, ticket=True)
            access.require("subscribe", request.wanted)
        except Problem as problem:
            await problem.answer(send)
            return
        # Never a 5xx and never a 429: any answer but 200 ends the EventSource of a browser for good.
        if not await self.limits.enter(access.address):
            await turn_away(send, self.settings.retry_milliseconds)
            return
        try:
            await self._admitted(scope, receive, send, request, access)
        finally:
            self.limits.leave(access.address)

    async def _admitted(
        self, scope: Scope, receive: Receive, send: Send, request: StreamRequest, access: Access
    ) -> None:
        try:
            start = await self._begin(request)
        except LaterError:
            if b"503" in header_values(scope, LATER):
                await answer(send, 503, {"connection": "close"})
            else:
                await _close(send, event_stream.retry_only(jittered(self.settings.retry_milliseconds)))
            return
        if access.resumes_only and not start.resumed:
            await self.authority.stale().answer(send)
            return
        if scope["method"] == "HEAD":  # not earlier: it tells what a GET would get
            await answer(send, 200, HEADERS)
            return
        await self._serve(scope, receive, send, request, start, access)

    def _serves(self) -> bool:
        hub = self.hub
        return hub.open and not hub.draining and len(hub.streams) < self.settings.max_streams

    async def _begin(self, request: StreamRequest) -> Start:
        if not self._serves() or not self.hub.filters.admits(request.wanted):
            raise LaterError
        return await self.resumer.start(request.last_event_id, request.wanted, request.begin)

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, request: StreamRequest, start: Start, access: Access
    ) -> None:
        hub = self.hub
        subscriber = Subscriber(request.wanted, start.cursor, request.heartbeat)
        subscriber.told, subscriber.heard = start.told, start.heard
        subscriber.account = scope.get(account.SCOPE)
        connection = connection_of(scope)
        head = await _head(scope, send, connection)
        output: Output
        if connection is not None:
            try:
                output = DirectOutput(connection, scope, subscriber, self.settings, hub.backlog, head)
            except RuntimeError:  # the client left while its cursor was looked up
                return
            self.metrics.streams["direct"] += 1
        else:
            self.metrics.streams["send"] += 1
            output = SendOutput(send, receive, subscriber, self.settings.heartbeat_seconds)
        del head  # this frame lives as long as the stream
        hub.add(subscriber, start.generation)
        self.authority.enter(subscriber, access.principal)
        end: StreamEnd = "error"
        try:
            async with output:
                await output.write(start.first)
                end = await self._pump(subscriber, output, start)
                await self._finish(subscriber, output, send)
        finally:
            hub.remove(subscriber)
            self.authority.leave(subscriber)
            self._ended(end, subscriber)

    def _ended(self, end: StreamEnd, subscriber: Subscriber) -> None:
        self.metrics.stream_ends[end] += 1
        if end not in ("client", "bye"):
            logger.info("stream ended (%s) at offset %d of %d", end, subscriber.cursor, self.hub.position - 1)

    async def _pump(self, subscriber: Subscriber, output: Output, start: Start) -> StreamEnd:
        """Replay until live, be live until slow, and so on until the stream ends; return why it ends."""
        hub, ring = self.hub, self.hub.ring
        if start.older is not None and not await self._replay(subscriber, output, start.older):
            return _why(subscriber) if subscriber.lost or subscriber.ending or subscriber.paused else "log"
        while await self._writable(subscriber):
            following = subscriber.cursor + 1
            if following < ring.start or not hub.open:
                return "behind"  # the ring no longer holds the next record: the client resumes by its id
            if following < hub.position:
                if subscriber.account is not None and subscriber.account.wait > 0:
                    await subscriber.account.pace()
                    continue
                await output.turn(_WRITE_BYTES)
                if subscriber.lost or subscriber.ending or following < ring.start:
                    continue
                frames, stop = ring.collect(following, hub.position, subscriber.wanted, _WRITE_BYTES)
                if frames:
                    _charge(subscriber, frames)
                    await output.write(frames)
                subscriber.cursor = stop - 1
                await self._tell(subscriber, output, ring.at(stop - 1))
                await asyncio.sleep(0)
            elif following > hub.position:
                # This replica has read the record, and the next sweep will pass it.
                await asyncio.wait((hub.moved(), subscriber.notified()), return_when=asyncio.FIRST_COMPLETED)
            else:
                await output.live(hub)
        return _why(subscriber)

    async def _replay(self, subscriber: Subscriber, output: Output, cursor: Cursor) -> bool:
        """Write what the ring no longer holds; return whether it now holds the cursor, with the same record there."""
        while await self._writable(subscriber):
            held = self.hub.ring.at(cursor.offset)
            if held is not None:
                return held.cursor == cursor
            await output.turn(_WRITE_BYTES)
            if subscriber.lost or subscriber.ending:
                break
            try:
                frames, last = await self.resumer.blocks.collect(cursor, subscriber.wanted, _WRITE_BYTES)
            except GapError as error:  # told here, because a resume would find the same block and end again
                try:
                    resumed, told = await self.resumer.after_gap(error, str(cursor))
                except (LaterError, LogUnavailableError):
                    break
                await output.write(event_stream.gap(error.reason, subscriber.heard, str(resumed)))
                subscriber.cursor, subscriber.told, subscriber.heard = resumed.offset, told, str(resumed)
                cursor = resumed
                continue
            except LogUnavailableError:
                break
            if frames:
                _charge(subscriber, frames)
                await output.write(frames)
            cursor = last.cursor
            subscriber.cursor = cursor.offset
            await self._tell(subscriber, output, last)
            await asyncio.sleep(0)
        return False

    async def _tell(self, subscriber: Subscriber, output: Output, last: Entry | None) -> None:
        """Send a gap to a stream that has come to the marker of a lost end, unless it was told before."""
        cut = None if last is None or last.frame is not None else last.cut
        if cut is not None and last is not None and subscriber.told != cut:
            id_ = str(last.cursor)
            await output.write(event_stream.gap("truncated", subscriber.heard, id_))
            self.metrics.gaps["truncated"] += 1
            subscriber.heard = id_

    async def _writable(self, subscriber: Subscriber) -> bool:
        """Wait while the reader is slow; False when the stream must end."""
        while not (subscriber.lost or subscriber.ending):
            if not subscriber.paused:
                return True
            if not await subscriber.wait(self.settings.slow_reader_seconds):
                break
        return False

    async def _finish(self, subscriber: Subscriber, output: Output, send: Send) -> None:
        if subscriber.paused and not subscriber.lost:
            # It takes no more bytes, and to wait for it would hold up a drain.
            output.abort()
            while not subscriber.lost:
                await subscriber.wait()
        if subscriber.lost:
            return
        if subscriber.reason:
            retry = jittered(self.settings.retry_milliseconds)
            id_ = self.hub.id_at(subscriber.cursor)
            await output.write(event_stream.control("bye", {"reason": subscriber.reason}, id_, retry))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _charge(subscriber: Subscriber, frames: bytes) -> None:
    if subscriber.account is not None:
        subscriber.account.charge(len(frames) * account.BYTE_SECONDS)


async def turn_away(send: Send, retry_milliseconds: int) -> None:
    """Answer a stream of an address that is over a limit: it ends at once, and comes back late."""
    retry = jittered(_LIMITED_RETRIES * retry_milliseconds)
    await _close(send, event_stream.control("bye", {"reason": "limit"}, None, retry))


async def _close(send: Send, body: bytes) -> None:
    """Answer a stream that ends at once."""
    await answer(send, 200, {**HEADERS, "connection": "close"}, body)


async def _head(scope: Scope, send: Send, connection: StreamProtocol | None) -> bytes:
    """The head of the answer, to be written with the first event; nothing where it is sent already."""
    headers = encoded(HEADERS)
    if connection is not None and not header_values(scope, b"origin"):  # else cors.py adds to the answer
        head = connection.stream_head(scope, headers)
        if head is not None:
            return head
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    return b""


def _why(subscriber: Subscriber) -> StreamEnd:
    """Why a stream ends that may not be written to."""
    if subscriber.writer is not None and subscriber.writer.slow:
        return "slow"
    if subscriber.lost:
        return "client"
    if subscriber.ending:
        return "bye" if subscriber.reason else "log"
    return "slow"
