"""What a stream writes by: its connection's socket while the transport holds nothing back, else the transport.

A transport's own write costs as much again as the kernel's part of it is at 20 events a second: what it keeps of each
connection has left the processor's caches since the last event. Whatever is not simply taken whole (a full buffer, a
broken connection) is the transport's to see to, with its limits, its pauses and its errors.
"""

from __future__ import annotations

import asyncio
import os

CLOSED = -1  # no descriptor: write(2) refuses it


class Wire:
    """One connection's; all that a stream writes goes by here, so that nothing overtakes what the transport holds."""

    __slots__ = ("_descriptor", "_transport", "held")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        encrypts = transport.get_extra_info("sslcontext") is not None
        self._descriptor: int = CLOSED if encrypts else transport.get_extra_info("socket").fileno()
        self.held = True  # whether the transport may hold something: at first, the answer's head

    @property
    def direct(self) -> int:
        """The descriptor of the socket, for who writes to very many; CLOSED where write() must be asked."""
        return CLOSED if self.held else self._descriptor

    def write(self, data: bytes) -> None:
        """Write, or have the transport do it; RuntimeError from one that is closed."""
        if not self.held or not self._transport.get_write_buffer_size():
            sent = send(self._descriptor, data)
            self.held = sent < len(data)
            if not self.held:
                return
            data = data[sent:]
        self.held = True
        self._transport.write(data)

    def close(self) -> None:
        """Forget the socket: once the transport has told that it is lost, its number may be another connection's."""
        self._descriptor, self.held = CLOSED, True

    def abort(self) -> None:
        """Cut the connection."""
        self._transport.abort()


def send(descriptor: int, data: bytes) -> int:
    """What a socket takes at once; 0 of a full or broken one, and the transport will hear the same from it."""
    try:
        return os.write(descriptor, data)
    except OSError:
        return 0
