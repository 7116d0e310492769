"""What the share of time of an address is worth: one replica, attacked with and without it, in turn.

    .venv/bin/python bench/shares.py [--attacks streams,channels] [--rounds N]

There is no Docker, no NGINX and no Kafka: the replica keeps its events itself. Fifty honest subscribers and a publisher
of 20 events a second come from one address, as a proxy says, and one attack of attacks.py from another. Each attack has
a calm before and after it; the ratio is to the 99th percentile of both. Interleaved pairs count, since the attacker and
everything else of the machine share its cores.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop
from attacks import ATTACKS

ROOT = Path(__file__).resolve().parents[1]
PERCENTS = (0, 10)  # none, and the default of production
RIGHTS = ("publish", "subscribe")
RATE = 20
SUBSCRIBERS = 50
CALM_SECONDS = 4.0
LATE_SECONDS = 0.3
ATTACK_SECONDS = 120.0
START_SECONDS = 60.0


class Replica:
    """One replica as a process, and the keys that it accepts."""

    def __init__(self, directory: Path, percent: int) -> None:
        self.percent = percent
        self.tokens = {name: secrets.token_urlsafe(32) for name in ("soak", "attack")}
        keys = directory / "keys.json"
        entries = [
            {
                "name": name,
                "sha256": hashlib.sha256(token.encode()).hexdigest(),
                **{right: [f"{name}.*"] for right in RIGHTS},
            }
            for name, token in self.tokens.items()
        ]
        keys.write_text(json.dumps({"keys": entries}))
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        settings = {
            "HOST": "127.0.0.1", "PORT": self.port, "LOG_LEVEL": "error", "AUTH": "on", "KEYS_FILES": keys,
            "TRUSTED_PROXIES": "127.0.0.1", "PUBLISH_RATE": 2000, "PUBLISH_BURST": 20_000,
            "TIME_PERCENT_PER_ADDRESS": percent,
        }  # fmt: skip
        environment = {**os.environ, **{f"SSE_{name}": str(value) for name, value in settings.items()}}
        self.process = subprocess.Popen([sys.executable, "-m", "sse_app"], cwd=ROOT / "app", env=environment)

    async def ready(self) -> None:
        """Wait until it lets clients in."""
        async with asyncio.timeout(START_SECONDS):
            while True:
                try:
                    return (await asyncio.open_connection("127.0.0.1", self.port))[1].close()
                except OSError:
                    await asyncio.sleep(0.1)

    def request(self, line: str, headers: str = "", body: str = "") -> bytes:
        """Return a request of an honest client."""
        head = f"Host: x\r\nAuthorization: Bearer soak.{self.tokens['soak']}\r\nX-Forwarded-For: 198.51.100.1\r\n"
        return f"{line} HTTP/1.1\r\n{head}{headers}\r\n{body}".encode()


async def read(replica: Replica, found: list[float], begun: asyncio.Semaphore) -> None:
    """Hold one stream and note how many milliseconds each event took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    try:
        writer.write(replica.request("GET /api/v1/stream?channel=soak.a"))
        await reader.readuntil(b"\r\n\r\n")
        begun.release()
        while line := await reader.readline():
            if line.startswith(b'data: {"t"'):
                found.append(1000 * (time.monotonic() - json.loads(line[6:])["t"]))
    finally:
        writer.close()


async def publish(replica: Replica, ended: asyncio.Future[bytes]) -> None:
    """Publish at a fixed rate until something has ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", replica.port)
    begun, number = time.monotonic(), 0
    while not ended.done():
        body = json.dumps({"channel": "soak.a", "data": {"t": time.monotonic()}})
        headers = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        writer.write(replica.request("POST /api/v1/events", headers, body))
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        if b" 202 " not in head:
            raise SystemExit(f"an honest publish was refused: {head.decode()}")
        number += 1
        await asyncio.sleep(max(0.0, begun + number / RATE - time.monotonic()))
    writer.close()


async def phase(replica: Replica, attack: str = "") -> tuple[float, str]:
    """Return the 99th percentile of deliveries in milliseconds, and what the attacker got."""

    async def happens() -> bytes:
        if not attack:
            await asyncio.sleep(CALM_SECONDS)
            return b"{}"
        script = str(Path(__file__).with_name("attacks.py"))
        run = await asyncio.create_subprocess_exec(
            *("nice", sys.executable, script, attack, "127.0.0.1", str(replica.port)),
            env={**os.environ, "ATTACKER_TOKEN": f"attack.{replica.tokens['attack']}"},
            stdout=subprocess.PIPE,
        )
        async with asyncio.timeout(ATTACK_SECONDS):
            return (await run.communicate())[0]

    found: list[float] = []
    begun = asyncio.Semaphore(0)
    readers = [asyncio.create_task(read(replica, found, begun)) for _ in range(SUBSCRIBERS)]
    for _ in readers:
        await begun.acquire()
    ended = asyncio.create_task(happens())
    await publish(replica, ended)
    await asyncio.sleep(LATE_SECONDS)
    for one in readers:
        one.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    return sorted(found)[int(0.99 * len(found))], (await ended).decode()


async def measure(attack: str, percent: int) -> None:
    """Measure one attack at a replica of its own."""
    with tempfile.TemporaryDirectory() as directory:
        replica = Replica(Path(directory), percent)
        try:
            await replica.ready()
            before, _ = await phase(replica)
            p99, answers = await phase(replica, attack)
            after, _ = await phase(replica)
        finally:
            replica.process.kill()
            replica.process.wait()
    ratio = p99 / ((before + after) / 2)
    print(f"{attack:9} {percent:2} %: p99 {p99:4.0f} ms, calm {before:.0f} and {after:.0f}, {ratio:.1f} x; {answers}")


def main() -> None:
    """Measure each attack without and with the share, in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", default="streams,channels", help=f"some of {', '.join(ATTACKS)}")
    parser.add_argument("--rounds", type=int, default=2, help="how often each is measured (default: 2)")
    options = parser.parse_args()
    for _ in range(options.rounds):
        for attack in options.attacks.split(","):
            for percent in PERCENTS:
                uvloop.run(measure(attack, percent))


if __name__ == "__main__":
    main()
