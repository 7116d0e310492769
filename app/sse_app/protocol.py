"""uvicorn's HTTP protocol, with its transport within reach of a stream and bounds on a request's head."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sse_app.hub import Subscriber
from sse_app.stream import EXTENSION

_HEAD_BYTES = 65_536  # request line and headers; NGINX allows 32 KB
_HEAD_SECONDS = 20.0  # from a new connection, or the first byte of a later request, to the end of its head


class StreamProtocol(HttpToolsProtocol):
    """One connection."""

    stream: Subscriber | None = None
    _head_bytes = 0
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Allow a bounded time for the first head."""
        super().connection_made(transport)
        self._start_head_timer()

    def data_received(self, data: bytes) -> None:
        """Refuse a head that does not end."""
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("Request head too large.")

    def on_message_begin(self) -> None:
        """Offer this connection to the application."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {EXTENSION: self}
        self._start_head_timer()

    def on_headers_complete(self) -> None:
        """What follows is a body, bounded by whoever reads it."""
        super().on_headers_complete()
        self._stop_head_timer()
        self._head_bytes = -(2**62)

    def on_message_complete(self) -> None:
        """Count the next head."""
        super().on_message_complete()
        self._head_bytes = 0

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the stream."""
        super().connection_lost(exc)
        self._stop_head_timer()
        if self.stream is not None:
            self.stream.lose()

    def pause_writing(self) -> None:
        """Tell the stream that its reader is slow."""
        super().pause_writing()
        if self.stream is not None:
            self.stream.pause()

    def resume_writing(self) -> None:
        """Tell the stream that its reader has caught up."""
        super().resume_writing()
        if self.stream is not None:
            self.stream.resume()

    def _start_head_timer(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
