"""A real HTTP server that answers as it is told, byte by byte, however wrong that is."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Self

PATIENCE = 20.0  # seconds; what holds longer is a fault of the test


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Each request gets the parts of the next answer; the last one is repeated.

    An answer ends its connection, unless the server keeps connections.
    """

    answers: list[Iterable[bytes] | Callable[[Asked], Iterable[bytes]]]
    tls: ssl.SSLContext | None = None
    keeps: bool = False
    connections: int = 0
    asked: list[Asked] = field(default_factory=list[Asked])
    leaving: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.scheme = "https" if self.tls else "http"
        self.url = f"{self.scheme}://localhost:{self.port}" if self.tls else f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.leaving.set()
        self.listening.shutdown(socket.SHUT_RDWR)  # wakes what waits in accept
        self.listening.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(PATIENCE)
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
            with connection:
                self.connections += 1
                while True:
                    request = read(connection)
                    answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
                    self.asked.append(request)
                    for part in answer(request) if callable(answer) else answer:
                        connection.sendall(part)
                    if not self.keeps:
                        return
        except OSError:
            pass  # the client has left

    def hold(self) -> Iterable[bytes]:
        """Say nothing until the test ends."""
        self.leaving.wait(PATIENCE)
        return []


def read(connection: socket.socket) -> Asked:
    stream = connection.makefile("rb")
    method, _, target = stream.readline().decode().rpartition(" ")[0].partition(" ")
    if not method:
        raise ConnectionError("it left before it asked")
    headers: dict[str, str] = {}
    while line := stream.readline().decode("utf-8").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return Asked(method, target, headers, stream.read(int(headers.get("content-length", 0))))


def answer(status: int, body: bytes | str = b"", content_type: str = "", **headers: str) -> list[bytes]:
    """A whole answer in one part."""
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    given |= {"Content-Type": content_type} if content_type else {}
    body = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in given.items()), "Connection: close"]
    lines += [] if status == 204 else [f"Content-Length: {len(body)}"]
    return ["\r\n".join([*lines, "", ""]).encode() + body]


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"


def stream(text: str | bytes, *more: bytes) -> list[bytes]:
    """A stream that ends with its connection."""
    body = text.encode() if isinstance(text, str) else text
    return [HEAD + b"Connection: close\r\n\r\n" + body, *more]
