"""tests/judging/outages.py tells what clients noticed of a stack that was away, and fails where an event never came."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import sys
import urllib.parse
from collections.abc import AsyncIterator
from typing import Any

import pytest
from judging.judge import Size
from judging.outages import Watch, good, spread

AWAY = 1.0
COMMAND = (sys.executable, "-c", "import time; time.sleep(3)")


class Stack:
    """The least that publishes and streams; it may lose one event, and be away for a while."""

    def __init__(self, loses: int = -1) -> None:
        self.loses = loses
        self.events: list[dict[str, str]] = []
        self.keys: dict[str, list[str]] = {}
        self.away_until = 0.0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        if asyncio.get_running_loop().time() < self.away_until:
            writer.write(answer(503, {"outcome": "unknown"}) if head.startswith("POST") else b"")
        elif head.startswith("POST"):
            body = json.loads(await reader.readexactly(int(fields["Content-Length"])))
            writer.write(answer(202, {"ids": self.stored(fields["Idempotency-Key"], body)}))
        else:
            await self.stream(head.split()[1], fields.get("Last-Event-ID", ""), writer)
        writer.close()

    def stored(self, key: str, body: list[dict[str, str]]) -> list[str]:
        if key not in self.keys:
            begin = len(self.events)
            self.events += body
            self.keys[key] = [f"{begin + place + 1}-x" for place in range(len(body))]
        return self.keys[key]

    async def stream(self, target: str, last: str, writer: asyncio.StreamWriter) -> None:
        asked = urllib.parse.parse_qs(urllib.parse.urlsplit(target).query)["channel"]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        sent = int(last.partition("-")[0]) if last else len(self.events)
        writer.write(chunk(f"retry: 100\nid: {sent}-x\n\n"))
        while asyncio.get_running_loop().time() >= self.away_until:
            for one in self.events[sent:]:
                sent += 1
                if sent != self.loses and any(fnmatch.fnmatch(one["channel"], pattern) for pattern in asked):
                    writer.write(chunk(f"event: count\nid: {sent}-x\ndata: {one['data']}\n\n"))
            await asyncio.sleep(0.02)


def answer(status: int, document: dict[str, Any]) -> bytes:
    body = json.dumps(document).encode()
    return b"HTTP/1.1 %d x\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def chunk(text: str) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text.encode())


@pytest.fixture
async def watch() -> AsyncIterator[Any]:
    servers: list[asyncio.Server] = []

    async def of(stack: Stack, away: bool = False) -> dict[str, Any]:
        server = await asyncio.start_server(stack.serve, "127.0.0.1", 0)
        servers.append(server)
        size = Size(subscribers=5, publishers=2, batch=2, at_once=1, pause=0.05)
        watched = Watch("127.0.0.1", server.sockets[0].getsockname()[1], 7, size)

        async def leave() -> None:
            while any(one < 5 for one in watched.settled):  # noqa: ASYNC110 - the command runs by then
                await asyncio.sleep(0.05)
            stack.away_until = asyncio.get_running_loop().time() + AWAY

        leaving = asyncio.create_task(leave()) if away else None
        found = await watched.during(COMMAND)
        if leaving:
            await leaving
        return found

    yield of
    for server in servers:
        server.close()


async def test_each_client_says_how_long_it_waited_and_that_nothing_was_lost(watch: Any) -> None:
    found = await watch(Stack(), away=True)
    assert good(found), found
    assert found["code"] == 0
    assert found["delivered"] > found["events"] > 20
    assert AWAY * 0.5 <= found["publishers"]["longest"] < 3 * AWAY
    assert AWAY * 0.5 <= found["subscribers"]["p50"] <= found["subscribers"]["longest"] < 3 * AWAY
    assert found["reconnected"] >= 5
    assert found["repeated"] >= 2


async def test_an_event_that_never_comes_is_no_good(watch: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("judging.judge.SETTLE_SECONDS", 3.0)
    found = await watch(Stack(loses=30))
    assert not good(found)
    assert found["lost"] > 0


def test_percentiles_are_over_clients() -> None:
    found = spread([float(one) for one in range(200)])
    assert found == {"count": 200, "p50": 100.0, "p99": 198.0, "longest": 199.0}
