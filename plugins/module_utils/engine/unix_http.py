# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""HTTP over a Unix socket (unix(7))."""

from __future__ import annotations

import http.client
import socket


class UnixConnection(http.client.HTTPConnection):
    """An HTTP connection to a Unix socket; the first request opens it."""

    def __init__(self, path: str, timeout: float) -> None:
        """Take the path of the socket, and the seconds that each step may take."""
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        """Open the connection; raises OSError where nobody listens on the socket."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)
