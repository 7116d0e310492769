"""A replica on a thread of its own with a real server, and a client that reads a stream as WHATWG says."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.error import HTTPError
from urllib.parse import urlencode

import uvloop

from sse_app.base.settings import Settings
from sse_app.http.listeners import tcp_listener
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Log
from sse_app.server import Server
from sse_app.service import Service

APP = Path(__file__).parents[1]
START_SECONDS = 30  # a process on a busy machine
T = TypeVar("T")


class Block(NamedTuple):
    """What stood between two blank lines: fields in their order, and what a browser would dispatch, if anything."""

    fields: list[tuple[str, str]]
    event: str
    data: str | None
    id: str | None

    @property
    def json(self) -> Any:
        return json.loads(self.data or "null")


def blocks(text: str) -> list[Block]:
    """The event stream interpretation of WHATWG HTML 9.2.6; an unfinished block at the end is not given."""
    lines = re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff"))[:-1]
    found: list[Block] = []
    fields: list[tuple[str, str]] = []
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields.append((name, value.removeprefix(" ")))
            continue
        if fields:
            data = [value for name, value in fields if name == "data"]
            ids = [value for name, value in fields if name == "id" and "\0" not in value]
            events = [value for name, value in fields if name == "event"]
            found.append(
                Block(
                    fields,
                    (events or [""])[-1] or "message",
                    "\n".join(data) if data else None,
                    ids[-1] if ids else None,
                )
            )
        fields = []
    return found


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection, by hand: nothing between the test and the bytes."""

    def __init__(self, endpoint: int | Path, *, receive_buffer: int | None = None) -> None:
        """`endpoint` is a port of this host or the path of a socket."""
        self.socket = socket.socket(socket.AF_INET if isinstance(endpoint, int) else socket.AF_UNIX)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", endpoint) if isinstance(endpoint, int) else str(endpoint))
        self.raw = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, head: str, body: bytes = b"") -> None:
        self.socket.sendall(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)

    def receive(self) -> bool:
        """More bytes; False at the end of the connection."""
        part = self.socket.recv(65536)
        self.raw += part
        return bool(part)

    def head(self) -> Answer:
        """Status and headers of the next answer."""
        while b"\r\n\r\n" not in self.raw:
            if not self.receive():
                raise ConnectionError(f"closed after {bytes(self.raw)!r}")
        head, _, rest = bytes(self.raw).partition(b"\r\n\r\n")
        self.raw[:] = rest
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return Answer(int(status.split()[1]), headers, b"")

    def answer(self) -> Answer:
        """One answer with a Content-Length, or chunked to its end."""
        status, headers, _ = self.head()
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while (part := self.chunk()) is not None:
                body += part
            return Answer(status, headers, body)
        length = int(headers.get("content-length", "0"))
        while len(self.raw) < length and self.receive():
            pass
        body = bytes(self.raw[:length])
        del self.raw[:length]
        return Answer(status, headers, body)

    def chunk(self) -> bytes | None:
        """The next chunk; None for the last one. Malformed framing is an error."""
        while b"\r\n" not in self.raw:
            if not self.receive():
                raise ConnectionError("closed within a chunked body")
        size, _, _ = bytes(self.raw).partition(b"\r\n")
        length, skip = int(size, 16), len(size) + 2
        while len(self.raw) < skip + length + 2:
            if not self.receive():
                raise ConnectionError("closed within a chunk")
        body, end = bytes(self.raw[skip : skip + length]), self.raw[skip + length : skip + length + 2]
        if end != b"\r\n":
            raise ValueError(f"a chunk ends in {end!r}")
        del self.raw[: skip + length + 2]
        return body if length else None


class Stream(Client):
    """An open stream; blocks in order."""

    def __init__(
        self,
        endpoint: int | Path,
        channels: str | list[str] | None = None,
        cursor: str | None = None,
        receive_buffer: int | None = None,
        path: str = "/api/v1/stream",
        headers: dict[str, str] | None = None,
        **query: str,
    ) -> None:
        super().__init__(endpoint, receive_buffer=receive_buffer)
        everything = ["*"] if path.endswith("/v1/stream") else []
        names = everything if channels is None else [channels] if isinstance(channels, str) else channels
        target = urlencode([*(("channel", name) for name in names), *query.items()])
        sent = {**(headers or {}), **({} if cursor is None else {"Last-Event-ID": cursor})}
        lines = "".join(f"\n{name}: {value}" for name, value in sent.items())
        self.send(f"GET {path}?{target} HTTP/1.1\nHost: test{lines}")
        self.status, self.headers, _ = self.head()
        self.whole = False
        self.text = ""
        self.last_event_id = cursor or ""
        self.ended = False

    def chunk(self) -> bytes | None:
        """The next chunk; the whole body where the answer is no stream but ends at once."""
        length = int(self.headers.pop("content-length", "-1"))
        if length < 0:
            return None if self.whole else super().chunk()
        self.whole = True
        while len(self.raw) < length and self.receive():
            pass
        return bytes(self.raw)

    def block(self, seconds: float = 30) -> Block | None:
        """The next block; None when the stream has ended."""
        self.socket.settimeout(seconds)
        while "\n\n" not in self.text:
            part = None if self.ended else self.chunk()
            if part is None:
                self.ended = True
                return None
            self.text += part.decode()
        text, _, self.text = self.text.partition("\n\n")
        found = blocks(text + "\n\n")
        if not found:
            return self.block(seconds)
        if found[0].id is not None:
            self.last_event_id = found[0].id
        return found[0]

    def events(self, count: int, seconds: float = 5) -> list[Block]:
        """The next blocks that carry data, without those that only carry the cursor."""
        found: list[Block] = []
        while len(found) < count:
            block = self.block(seconds)
            if block is None:
                raise AssertionError(f"ended after {len(found)} of {count} events")
            if block.data is not None and block.event != "cursor":
                found.append(block)
        return found

    def silent(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes."""
        try:
            return self.block(seconds) is None
        except TimeoutError:
            return True


class Replicas:
    """Replicas in one thread over one log, each with a real listener."""

    def __init__(self, count: int = 1, log: Log | None = None, wait: bool = True, **settings: Any) -> None:
        self.settings = Settings(**{"host": "127.0.0.1", "port": 0, "drain_seconds": 0.2, **settings})
        self.log: Any = log
        self.services: list[Service] = []
        self._servers: list[Server] = []
        self.ports: list[int] = []
        self._count = count
        self._wait_open = wait
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._main)

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def service(self) -> Service:
        return self.services[0]

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(START_SECONDS)
        eventually(lambda: all(server.started for server in self._servers))
        eventually(lambda: not self._wait_open or all(service.hub.open for service in self.services))
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _main(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        if self.log is None and not self.settings.kafka_brokers:
            self.log = EmbeddedLog(self.settings.embedded_events)
        listeners = [tcp_listener(self.settings) for _ in range(self._count)]
        for made in listeners:
            self.ports.append(made.getsockname()[1])
            self.services.append(Service(self.settings, self.log))
            self._servers.append(Server(self.services[-1]))
        serving = [
            asyncio.create_task(server.serve([made])) for server, made in zip(self._servers, listeners, strict=True)
        ]
        self._started.set()
        await asyncio.gather(*serving)

    def kill(self, index: int) -> None:
        """Cut every connection of a replica and let nobody in, as the end of its process does."""

        def cut() -> None:
            server = self._servers[index]
            for listening in server.servers:
                listening.close()
            for connection in list(server.server_state.connections):
                connection.transport.abort()

        self.call(cut)

    def call(self, function: Callable[[], T]) -> T:
        """Run something in the servers' own thread."""

        async def run() -> T:
            return function()

        return self.wait(run())

    def wait(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def get(self, path: str, index: int = 0) -> Answer:
        return fetch(f"http://127.0.0.1:{self.ports[index]}{path}")

    def post(self, document: Any, index: int = 0, **headers: str) -> Answer:
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return fetch(f"http://127.0.0.1:{self.ports[index]}/api/v1/events", body, headers)

    def publish(self, *events: dict[str, Any], index: int = 0) -> list[str]:
        """Ids of events that were accepted."""
        answer = self.post(list(events), index)
        assert answer.status == 202, answer
        return answer.json["ids"]

    def stream(
        self, channels: str | list[str] = "*", cursor: str | None = None, index: int = 0, **query: Any
    ) -> Stream:
        return Stream(self.ports[index], channels, cursor, **query)


class Process:
    """A replica as a process of its own, with a log of its own, that can be killed."""

    def __init__(self, **environment: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.environment = {**os.environ, "SSE_HOST": "127.0.0.1", "SSE_PORT": str(self.port), **environment}
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sse_app"], cwd=APP, env=self.environment, stderr=subprocess.PIPE, text=True
        )
        eventually(self.ready, START_SECONDS)

    def restart(self) -> None:
        self.process.communicate()
        self.start()

    def ready(self) -> bool:
        try:
            return fetch(f"http://127.0.0.1:{self.port}/health/ready").status == 200
        except OSError:  # nothing listens yet
            return False


def fetch(url: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
    """One request; an error status is an answer too."""
    sent = {name.replace("_", "-").title(): value for name, value in (headers or {}).items()}
    if body is not None:
        sent.setdefault("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, sent), timeout=20) as response:
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
    except HTTPError as error:
        return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def eventually(condition: Callable[[], Any], seconds: float = 60) -> None:
    """Wait for something that has no event to wait for."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)
