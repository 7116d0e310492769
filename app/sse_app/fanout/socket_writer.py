"""Writes a stream directly to the socket of its connection, or to the transport while that holds something back.

At 20 events a second, the write of a transport costs as much again as the kernel's part of it, because the state that
it keeps of each connection has left the caches of the processor since the last event. Whatever the socket does not take
whole (a full buffer, a broken connection) goes to the transport, which has its limits, its pauses and its errors.
"""

import asyncio
import os

from sse_app.fanout.backlog import Backlog

CLOSED = -1  # no descriptor: write(2) refuses it


class SocketWriter:
    """Of one connection. Everything that a stream writes goes through it, so that nothing overtakes the transport."""

    __slots__ = ("_backlog", "_descriptor", "_transport", "held", "slow")

    def __init__(self, transport: asyncio.Transport, backlog: Backlog) -> None:
        self._transport = transport
        self._backlog = backlog
        self.slow = False  # cut because its reader was
        encrypts = transport.get_extra_info("sslcontext") is not None
        self._descriptor: int = CLOSED if encrypts else transport.get_extra_info("socket").fileno()
        self.held = True  # whether the transport may hold something: at first, the head of the answer

    @property
    def direct(self) -> int:
        """The descriptor of the socket, for a caller that writes to very many; CLOSED where it must call write()."""
        return CLOSED if self.held else self._descriptor

    def write(self, data: bytes) -> None:
        """Write, or have the transport do it; RuntimeError from a transport that is closed."""
        empty = not self.held or not self._transport.get_write_buffer_size()
        if empty:
            sent = send(self._descriptor, data)
            self.held = sent < len(data)
            if not self.held:
                return
            data = data[sent:]
        self.held = True
        self._transport.write(data)
        self._backlog.hold(self, len(data), anew=empty)

    async def turn(self, size: int) -> None:
        """Wait until a stream that catches up may be given so many bytes more."""
        await self._backlog.turn(size)

    def close(self) -> None:
        """Forget the socket: once the transport has said that it is lost, another connection may get its number."""
        self._descriptor, self.held = CLOSED, True
        self._backlog.forget(self)

    @property
    def size(self) -> int:
        """Bytes that the transport holds."""
        return self._transport.get_write_buffer_size()

    def cut(self) -> None:
        """Cut the connection of a reader that is too slow for the memory there is."""
        self.slow = True
        self.abort()

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()


def send(descriptor: int, data: bytes) -> int:
    """Bytes that a socket takes at once; 0 from a full or broken one, which then tells the transport the same."""
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0


def chunk(body: bytes) -> bytes:
    """One chunk of a chunked body (RFC 9112, section 7.1)."""
    return b"%x\r\n%b\r\n" % (len(body), body)
