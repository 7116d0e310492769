"""What HTTPS costs: processor time of a deployed stack for a delivery, over HTTP and over HTTPS in turn.

    .venv/bin/python bench/doors.py [--stack NAME] [--rounds N]

Run it on the host of a stack that serves plain HTTP, too (exposure_plain_http=serve). In each round the same number of
subscribers read the same events, over one and over the other; the order changes from round to round. What a container
used is read from its cgroup, and the time of publishing to nobody is subtracted. HONEST_TOKEN holds a key for `soak.*`
where the stack asks for one, as for hostile.py.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import ssl
import statistics
import time
from typing import Any

import usage
import uvloop

CHANNEL = "soak.doors"
PAYLOAD = "x" * 190
KINDS = ("nobody", "http", "https")
SETTLE_SECONDS = 1.0
SECONDS = "seconds"
SMALL_US = 0.1  # a container that uses less for a delivery has nothing to do with it


class Doors:
    """One stack, and what was measured there."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        containers = usage.inspected(options.stack)
        self.meter = usage.Meter({usage.name_of(one, options.stack): one["State"]["Pid"] for one in containers})
        nginx = next(one for one in containers if usage.name_of(one, options.stack) == "nginx")
        ports: dict[str, Any] = nginx["NetworkSettings"]["Ports"]
        self.ports = {
            kind: int(ports[port][0]["HostPort"]) for kind, port in (("http", "80/tcp"), ("https", "443/tcp"))
        }
        token = os.environ.get("HONEST_TOKEN", "")
        self.head = "Host: 127.0.0.1\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        self.context = ssl.create_default_context()
        self.context.check_hostname = False
        self.context.verify_mode = ssl.CERT_NONE  # the certificate may be the one that the host made for itself
        self.delivered = 0

    async def connect(self, kind: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection over HTTP or HTTPS."""
        context = self.context if kind == "https" else None
        return await asyncio.open_connection("127.0.0.1", self.ports[kind], ssl=context)

    async def read(self, kind: str, begun: asyncio.Semaphore) -> None:
        """Hold one stream and count its events."""
        reader, writer = await self.connect(kind)
        try:
            writer.write(f"GET /api/v1/stream?channel={CHANNEL} HTTP/1.1\r\n{self.head}\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 200 " not in head.split(b"\r\n")[0]:
                raise SystemExit(f"a stream was refused: {head.decode()}")
            begun.release()
            while data := await reader.read(65536):
                self.delivered += data.count(PAYLOAD.encode())
        finally:
            writer.transport.abort()  # a TLS connection that is only closed goes on to be read for a while

    async def publish(self) -> int:
        """Publish at a fixed rate; return how many events there were."""
        reader, writer = await self.connect("http")
        body = json.dumps({"channel": CHANNEL, "data": PAYLOAD})
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        request = f"POST /api/v1/events HTTP/1.1\r\n{self.head}{kind}\r\n{body}".encode()
        begun, count = time.monotonic(), round(self.options.rate * self.options.seconds)
        for number in range(count):
            await asyncio.sleep(max(0.0, begun + number / self.options.rate - time.monotonic()))
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if b" 202 " not in head.split(b"\r\n")[0]:
                raise SystemExit(f"a publish was refused: {head.decode()}")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
            await reader.readexactly(int(length.split(b":")[1]))
        writer.close()
        return count

    async def measure(self, kind: str) -> dict[str, float]:
        """Return the microseconds of each container in a second, and how many seconds it took."""
        begun = asyncio.Semaphore(0)
        count = 0 if kind == "nobody" else self.options.subscribers
        readers = [asyncio.create_task(self.read(kind, begun)) for _ in range(count)]
        for _ in range(count):
            await begun.acquire()
        await asyncio.sleep(SETTLE_SECONDS)
        self.delivered, before, started = 0, self.meter.read(), time.monotonic()
        events = await self.publish()
        await asyncio.sleep(SETTLE_SECONDS)
        seconds, used = time.monotonic() - started, usage.since(before, self.meter.read())["containers"]
        if self.delivered != events * count:
            raise SystemExit(f"{kind}: {self.delivered} of {events * count} deliveries came")
        for one in readers:
            one.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await one
        return {**{name: us / seconds for name, us in used.items()}, SECONDS: seconds}

    async def run(self) -> dict[str, list[dict[str, float]]]:
        """Measure everything in each round."""
        found: dict[str, list[dict[str, float]]] = {kind: [] for kind in KINDS}
        for number in range(self.options.rounds):
            for kind in KINDS if number % 2 else KINDS[::-1]:
                found[kind].append(await self.measure(kind))
        return found


def main() -> None:
    """Measure, and print microseconds for a delivery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="sse", help="the stack_name of the stack (default: sse)")
    parser.add_argument("--subscribers", type=int, default=500, help="streams (default: 500)")
    parser.add_argument("--rate", type=float, default=20, help="events a second (default: 20)")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (default: 4)")
    parser.add_argument("--rounds", type=int, default=4, help="how often each is measured (default: 4)")
    options = parser.parse_args()
    doors = Doors(options)
    found = uvloop.run(doors.run())
    deliveries = options.subscribers * round(options.rate * options.seconds)
    for name in [*sorted(found["http"][0].keys() - {SECONDS}), "all"]:
        empty = statistics.median(used(one, name) for one in found["nobody"])
        each = {
            kind: [(used(one, name) - empty) * one[SECONDS] / deliveries for one in found[kind]] for kind in KINDS[1:]
        }
        if name != "all" and max(map(statistics.median, each.values())) < SMALL_US:
            continue
        texts = (f"{kind} {statistics.median(us):6.2f} ({min(us):.2f} to {max(us):.2f})" for kind, us in each.items())
        print(f"{name:12} us for a delivery: {', '.join(texts)}; {empty / 1e4:.1f} % of a processor without")


def used(one: dict[str, float], name: str) -> float:
    """Return what a container, or all of them, used in a second."""
    return sum(us for each, us in one.items() if each != SECONDS) if name == "all" else one[name]


if __name__ == "__main__":
    main()
