"""Subscribers and publishers that write down whatever goes wrong while a stack changes.

It speaks HTTP itself and shares nothing with bench/soak.py: a mistake there would be found here. Each publisher counts
up in a channel of its own; each subscriber must get every number once and in order, over all its streams.

As a program: ADDRESS NAME AUTHORITIES KEY CHANNELS -- COMMAND. It holds streams over TLS, each of which sees that the
certificate is good for NAME, while the command runs and until the certificate is another one. No stream may end.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

PUBLISHERS = 2
PAUSE = 0.1  # seconds between two events of a publisher
CONNECT_SECONDS = 20.0  # a connection may wait while NGINX is replaced
ANSWER_SECONDS = 30.0
SETTLE_SECONDS = 60.0  # until every subscriber has everything
SILENCE_SECONDS = 45.0  # three heartbeats
RENEW_SECONDS = 180.0  # until the certificate is another one
STREAMS = 200  # of the program


class Door(NamedTuple):
    """Where a crowd comes in, and how."""

    port: int
    address: str = "127.0.0.1"
    name: str = "it"
    channels: str = "it.crowd"
    tls: ssl.SSLContext | None = None
    key: str = ""
    pause: float = PAUSE

    @property
    def head(self) -> str:
        """The header fields of every request."""
        return f"Host: {self.name}\r\n" + (f"Authorization: Bearer {self.key}\r\n" if self.key else "")

    def certificate(self) -> bytes:
        """Return the certificate that a new connection gets."""
        assert self.tls
        with (
            socket.create_connection((self.address, self.port), CONNECT_SECONDS) as plain,
            self.tls.wrap_socket(plain, server_hostname=self.name) as client,
        ):
            return client.getpeercert(binary_form=True) or b""


class Crowd:
    """Streams and publishers through one port, until the block ends."""

    def __init__(self, door: int | Door, streams: int) -> None:
        self.door = Door(door) if isinstance(door, int) else door
        self.prefix = f"{self.door.channels}.{uuid.uuid4().hex}"
        self.streams = streams
        self.wrong: Counter[str] = Counter()
        self.heard = [[0] * PUBLISHERS for _ in range(streams)]
        self.accepted = [0] * PUBLISHERS
        self.unsettled = 0  # answers of 503, which the same request with the same key settled
        self.cut = 0  # publishes whose connection ended without an answer, settled in the same way
        self.opened = 0
        self.interruptions: list[float] = []  # seconds from the end of a stream until the next event or heartbeat
        self.longest_publish = 0.0
        self.ending = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.run()), daemon=True)

    def __enter__(self) -> Crowd:
        self.thread.start()
        until = time.monotonic() + SETTLE_SECONDS
        while not all(all(one) for one in self.heard):
            assert self.thread.is_alive(), "the crowd ended"
            assert time.monotonic() < until, f"not every stream heard an event: {self.wrong}"
            self.ending.wait(0.1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ending.set()
        self.thread.join(2 * SETTLE_SECONDS)
        if self.thread.is_alive():
            self.wrong["it did not end"] += 1

    def interruption(self, percent: int) -> float:
        """Return a percentile of the interruptions, in seconds."""
        ordered = sorted(self.interruptions)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] if ordered else 0.0

    async def run(self) -> None:
        """Subscribe first, then publish, then see that everything arrived."""
        subscribed = asyncio.Semaphore(0)
        readers = [asyncio.create_task(self.subscribe(number, subscribed)) for number in range(self.streams)]
        for _ in readers:
            await subscribed.acquire()
        publishers = [asyncio.create_task(self.publish(number)) for number in range(PUBLISHERS)]
        await asyncio.gather(*publishers)
        for _ in range(int(SETTLE_SECONDS / PAUSE)):
            if all(one == self.accepted for one in self.heard):
                break
            await asyncio.sleep(PAUSE)
        lost = sum(one != self.accepted for one in self.heard)
        if lost:
            self.wrong["subscribers without the last events"] += lost
        for task in readers:
            if task.done():
                task.result()  # a mistake of the oracle itself
            task.cancel()

    async def publish(self, number: int) -> None:
        """Count up in one channel, each time over a new connection."""
        while not self.ending.is_set():
            data = f"{number} {self.accepted[number]}"
            event = {"channel": f"{self.prefix}.{number}", "event": "count", "data": data}
            begun = time.monotonic()
            if await self.accept(json.dumps(event), f"{self.prefix}-{number}-{self.accepted[number]}"):
                self.accepted[number] += 1
            self.longest_publish = max(self.longest_publish, time.monotonic() - begun)
            await asyncio.sleep(self.door.pause)

    async def accept(self, body: str, key: str) -> bool:
        """Publish one event, and ask again where the answer says that nobody knows what came of it."""
        until = time.monotonic() + SETTLE_SECONDS
        head = f"POST /api/v1/events HTTP/1.1\r\n{self.door.head}Content-Type: application/json\r\n"
        request = f"{head}Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}"
        while time.monotonic() < until:
            try:
                async with asyncio.timeout(ANSWER_SECONDS), self.connection(request) as (status, *_):
                    if status == 202:
                        return True
                    if status != 503:
                        self.wrong[f"a publish was answered with {status}"] += 1
                        return False
                    self.unsettled += 1
            except EOFError:
                self.cut += 1
            except (OSError, TimeoutError) as error:
                self.wrong[f"a publish failed: {error!r}"] += 1
                return False
            await asyncio.sleep(1)
        self.wrong["a publish was never settled"] += 1
        return False

    @contextlib.asynccontextmanager
    async def connection(self, request: str) -> AsyncIterator[tuple[int, bool, asyncio.StreamReader]]:
        """Send a request over a new connection; give the status, whether chunks follow the head, and what follows."""
        door, name = self.door, self.door.name if self.door.tls else None
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(door.address, door.port, ssl=door.tls, server_hostname=name)
        try:
            writer.write(request.encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), ANSWER_SECONDS)
            yield int(head.split()[1]), b"transfer-encoding: chunked" in head.lower(), reader
        finally:
            writer.close()

    async def subscribe(self, number: int, subscribed: asyncio.Semaphore) -> None:
        """Hold one stream after the other, each from where the last one ended."""
        channels = "&".join(f"channel={self.prefix}.{one}" for one in range(PUBLISHERS))
        stream = Stream(self, number)
        while True:
            resume = f"Last-Event-ID: {stream.last}\r\n" if stream.last else ""
            request = f"GET /api/v1/stream?{channels} HTTP/1.1\r\n{self.door.head}{resume}\r\n"
            try:
                async with self.connection(request) as (status, chunks, reader):
                    if status != 200:
                        self.wrong[f"a stream was answered with {status}"] += 1
                    elif chunks:
                        await stream.read(reader, subscribed if not stream.last else None)
                    else:  # NGINX itself answers while no replica does, and says when to come again
                        stream.told((await reader.readuntil(b"\n\n"))[:-2])
            except EOFError:  # a stream that ended between its blocks or within one
                stream.ended()
            except (OSError, TimeoutError) as error:
                self.wrong[f"a stream failed: {error!r}"] += not isinstance(error, ConnectionResetError)
                stream.ended()
            await asyncio.sleep(stream.retry)


class Stream:
    """What one subscriber got, over all its streams."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.last = ""  # the cursor
        self.retry = 1.0
        self.end = 0.0  # when its last stream ended

    def ended(self) -> None:
        """Remember when the stream ended, if it was open."""
        self.end = self.end or time.monotonic()

    async def read(self, reader: asyncio.StreamReader, subscribed: asyncio.Semaphore | None) -> None:
        """Read the chunks of one response until it ends."""
        self.crowd.opened += 1
        rest = b""
        while True:
            size = int(await asyncio.wait_for(reader.readline(), SILENCE_SECONDS) or b"0", 16)
            if not size:
                self.ended()
                return
            rest += (await reader.readexactly(size + 2))[:-2]
            *blocks, rest = rest.split(b"\n\n")
            for block in blocks:
                self.told(block)
                if subscribed:
                    subscribed.release()
                    subscribed = None

    def told(self, text: bytes) -> None:
        """Judge one block."""
        block = {name: value for name, _, value in (line.partition(": ") for line in text.decode().splitlines())}
        self.retry = int(block.get("retry", self.retry * 1000)) / 1000
        kind = block.get("event", "message")
        if kind == "gap":
            self.crowd.wrong["a gap"] += 1
        elif kind == "count":
            self.count(block)
        if kind == "count" and self.end:
            self.crowd.interruptions.append(time.monotonic() - self.end)
            self.end = 0.0
        self.last = block.get("id", self.last)

    def count(self, block: dict[str, str]) -> None:
        """Judge one event: its data are its publisher and its number."""
        channel, number = map(int, block["data"].split())
        due = self.crowd.heard[self.number][channel]
        if number != due:
            self.crowd.wrong["an event came twice" if number < due else "an event was lost"] += 1
        self.crowd.heard[self.number][channel] = number + 1


def main() -> int:
    """Run the command while the streams live, and return its status, or 1 where one ended or something was lost."""
    address, name, authorities, key, channels, _, *command = sys.argv[1:]
    tls = ssl.create_default_context(cafile=authorities)
    tls.verify_flags &= ~ssl.VERIFY_X509_STRICT  # browsers do not ask for more than RFC 5280 needs either
    door = Door(443, address, name, channels, tls, Path(key).read_text().strip(), pause=4 * PAUSE)
    with Crowd(door, STREAMS) as crowd:
        first, begun = door.certificate(), time.monotonic()
        ended = subprocess.run(command, check=False).returncode
        renewed = first
        while not ended and renewed == first and time.monotonic() < begun + RENEW_SECONDS:
            time.sleep(0.5)
            renewed = door.certificate()
        accepted = sum(crowd.accepted)
        while sum(crowd.accepted) < accepted + PUBLISHERS and crowd.thread.is_alive() and not crowd.wrong:
            time.sleep(0.1)  # events after the renewal
    told = {
        "streams": STREAMS,
        "opened": crowd.opened,
        "wrong": dict(crowd.wrong),
        "events": sum(crowd.accepted),
        "publishes asked again": crowd.cut + crowd.unsettled,
        "longest publish": round(crowd.longest_publish, 2),
        "renewed": renewed != first,
    }
    sys.stdout.write(f"crowd: {json.dumps(told)}\n")
    return ended or int(bool(crowd.wrong) or crowd.opened != STREAMS or renewed == first)


if __name__ == "__main__":
    sys.exit(main())
