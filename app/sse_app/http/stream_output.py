"""How the bytes of a stream reach its client: directly by the socket of its connection, or by send()."""

import asyncio
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from sse_app.base.asgi import Receive, Scope, Send
from sse_app.base.settings import Settings
from sse_app.fanout import event_stream
from sse_app.fanout.backlog import Backlog
from sse_app.fanout.hub import Hub
from sse_app.fanout.socket_writer import SocketWriter, chunk
from sse_app.fanout.subscriber import Subscriber
from sse_app.http.uvicorn_protocol import EXTENSION, StreamProtocol

HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",  # without the charset some clients decode as Latin-1
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
}


def connection_of(scope: Scope) -> StreamProtocol | None:
    """The connection of a request, where the server offers direct writes."""
    return scope.get("extensions", {}).get(EXTENSION)


class DirectOutput:
    """Writes to the socket of the connection; while live, the hub does so in its sweeps."""

    def __init__(
        self,
        connection: StreamProtocol,
        scope: Scope,
        subscriber: Subscriber,
        settings: Settings,
        backlog: Backlog,
        head: bytes,
    ) -> None:
        """Begin with this head, if it is not written yet; RuntimeError where the client has already left."""
        self._head = head
        self._connection = connection
        self._scope = scope
        self._subscriber = subscriber
        transport = connection.transport
        transport.set_write_buffer_limits(high=0)  # a stream that catches up gets more when all of it was taken
        self._limit = settings.write_buffer_bytes
        self._writer = SocketWriter(transport, backlog)
        made: socket.socket = transport.get_extra_info("socket")
        if made.family == socket.AF_UNIX:  # it inherits nothing from its listener
            made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, settings.send_buffer_bytes)

    async def __aenter__(self) -> None:
        self._subscriber.writer = self._writer
        self._connection.begin_stream(self._scope, self._subscriber)

    async def __aexit__(self, *_: object) -> None:
        self._connection.end_stream()
        self._writer.close()

    async def write(self, frames: bytes) -> None:
        """Write one chunk."""
        try:
            if self._head:  # the first write of all
                head, self._head = self._head, b""
                self._writer.write(head + chunk(frames))
            else:
                self._writer.write(chunk(frames))
        except RuntimeError:  # the transport is closed, and connection_lost() has not been called yet
            self._subscriber.lose()

    async def turn(self, size: int) -> None:
        """Wait until there is room for so many bytes of what it has missed."""
        await self._writer.turn(size)

    async def live(self, hub: Hub) -> None:
        """Be live until something happens that the stream itself must handle."""
        self._hold(self._limit)
        hub.join(self._subscriber)
        await self._subscriber.notified()
        hub.leave(self._subscriber)
        self._hold(0)

    def _hold(self, size: int) -> None:
        """Have the transport say that it is full once it holds more bytes than this."""
        with suppress(RuntimeError):  # it is closed
            self._connection.transport.set_write_buffer_limits(high=size)

    def abort(self) -> None:
        """Cut the connection."""
        self._writer.abort()


@dataclass(slots=True)
class SendOutput:
    """Writes by send(), for a server without direct writes: follows the hub itself, at a task switch for each sweep."""

    send: Send
    receive: Receive
    subscriber: Subscriber
    heartbeat_seconds: float
    watch: asyncio.Task[None] = field(init=False)

    async def __aenter__(self) -> None:
        self.watch = asyncio.create_task(self._disconnected())

    async def __aexit__(self, *_: object) -> None:
        self.watch.cancel()

    async def _disconnected(self) -> None:
        while (await self.receive())["type"] != "http.disconnect":
            pass
        self.subscriber.lose()

    async def write(self, frames: bytes) -> None:
        """Write one part of the body."""
        await self.send({"type": "http.response.body", "body": frames, "more_body": True})

    async def turn(self, size: int) -> None:
        """Go on: send() itself waits."""

    async def live(self, hub: Hub) -> None:
        """Wait for the next sweep, the end, or the time of a heartbeat."""
        events = (hub.moved(), self.subscriber.notified())
        done, _ = await asyncio.wait(events, timeout=self.heartbeat_seconds, return_when=asyncio.FIRST_COMPLETED)
        id_ = hub.id_at(self.subscriber.cursor)
        if not done and id_ is not None:
            await self.write(event_stream.heartbeat(self.subscriber.heartbeat, id_))

    def abort(self) -> None:
        """Never called: such a stream is never paused, because send() itself waits for a slow reader."""


Output = DirectOutput | SendOutput
