"""An independent judge of the promise: many subscribers and publishers, while a stack suffers faults from a seed.

    .venv/bin/python tests/judging/judge.py [--stack NAME] [--seconds 600] [--seed N] [--losses] [--engine]

It speaks HTTP itself, shares no code with bench/soak.py, and judges by the ids that publishers got (ledger.py). With
--losses, Kafka also loses the end of its log: only for a stack without anything of value. With --engine, dockerd
is killed, too, which every container of this machine has to bear. The exit status is 1 where something was wrong. Run
it as root on the host of the stack. The seed is printed, and draws the same faults again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import random
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple

sys.path.append(str(Path(__file__).resolve().parents[1]))

from docker.errors import APIError
from judging.faults import Suffering, Target, draw
from judging.ledger import Account, Ledger, Listener

CHANNELS = tuple(f"{group}.{number}" for group in "abcd" for number in range(3))
AGAIN = 0.1  # of the publishes are sent once more after they were accepted
CONNECT_SECONDS = 20.0
ANSWER_SECONDS = 30.0
SILENCE_SECONDS = 50.0  # more than three heartbeats
SETTLE_SECONDS = 120.0  # for a publish, and until every subscriber has every event
CALM = 2  # publishes of each publisher between two faults


class Size(NamedTuple):
    """How many there are, and how much they do."""

    subscribers: int = 150
    publishers: int = 4
    batch: int = 5  # events of a publish at most
    at_once: int = 4  # publishes of a publisher at most
    pause: float = 0.2  # seconds between two rounds of a publisher, on average


class Oracle:
    """Streams and publishers through one port."""

    def __init__(self, host: str, port: int, seed: int, size: Size) -> None:
        self.host, self.port, self.size, self.chance = host, port, size, random.Random(seed)
        self.fate = random.Random(seed)  # of the faults alone: how fast publishers are changes nothing of them
        self.prefix = f"oracle.{uuid.uuid4().hex[:12]}"
        self.account = Account()
        self.ledger = Ledger(self.account)
        self.listeners = [self.listener(f"subscriber {one}", self.filter(one)) for one in range(size.subscribers)]
        self.settled = [0] * size.publishers
        self.suffered: list[str] = []
        self.ending = asyncio.Event()

    def listener(self, name: str, patterns: tuple[str, ...]) -> Listener:
        """Return what judges the streams of a subscriber."""
        return Listener(name, patterns, self.account)

    def filter(self, number: int) -> tuple[str, ...]:
        """Every channel, a group, one channel, or channels and a group: each kind for as many subscribers."""
        exact = [f"{self.prefix}.{one}" for one in self.chance.sample(CHANNELS, 3)]
        group = f"{self.prefix}.{self.chance.choice('abcd')}.*"
        return ((f"{self.prefix}.*",), (group,), (exact[0],), (*exact, group), tuple(exact))[number % 5]

    @contextlib.asynccontextmanager
    async def connection(self, request: str) -> AsyncIterator[tuple[int, bytes, asyncio.StreamReader]]:
        """Send a request over a new connection; give the status, the head, and what follows."""
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(request.encode())
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SILENCE_SECONDS)
            yield int(head.split()[1]), head.lower(), reader
        finally:
            writer.close()

    # --- publishers

    async def publish(self, publisher: int) -> None:
        """Publish batches with a key each, some of them at the same time."""
        numbers = itertools.count()
        while not self.ending.is_set():
            at_once = [f"{publisher}:{next(numbers)}" for _ in range(self.chance.randint(1, self.size.at_once))]
            await asyncio.gather(*(self.settle(one) for one in at_once))
            self.settled[publisher] += 1
            await asyncio.sleep(self.chance.uniform(0, 2 * self.size.pause))

    def batch(self, name: str) -> list[dict[str, str]]:
        """Draw some events; the data are the event's own name, and its channel."""
        channels = [
            f"{self.prefix}.{self.chance.choice(CHANNELS)}" for _ in range(self.chance.randint(1, self.size.batch))
        ]
        return [
            {"channel": one, "event": "count", "data": f"{name}:{place} {one}"} for place, one in enumerate(channels)
        ]

    async def settle(self, name: str) -> None:
        """Publish a batch until it is accepted, and some once more: the same key has the same ids."""
        batch, key, again = self.batch(name), f"{self.prefix}-{name}", self.chance.random() < AGAIN
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            try:
                status, answer = await asyncio.wait_for(self.ask(batch, key), ANSWER_SECONDS)
            except (OSError, EOFError, TimeoutError) as error:
                self.account.counts[f"publishes without an answer: {type(error).__name__}"] += 1
            else:
                self.account.counts[f"publishes answered {status}"] += 1
                if status == 202:
                    for one, id_ in zip(batch, answer["ids"], strict=True):
                        self.ledger.accept(one["data"].split()[0], one["channel"], id_, time.monotonic())
                    if not again:
                        self.account.counts["accepted"] += len(batch)
                        return
                    again = False
                    continue
                if status != 503 or answer.get("outcome") != "unknown":
                    self.account.wrong("publishes refused", f"{status} {answer}")
            await asyncio.sleep(0.5)
        self.account.wrong("publishes never settled", key)

    async def ask(self, batch: list[dict[str, str]], key: str) -> tuple[int, dict[str, list[str]]]:
        """Send one publish; return its status and its document."""
        body = json.dumps(batch)
        head = "POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        length = f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        async with self.connection(head + length + body) as (status, _, reader):
            answer = await reader.read()
            return status, json.loads(answer[answer.index(b"{") : answer.rindex(b"}") + 1])

    # --- subscribers

    async def subscribe(self, listener: Listener, last: str = "") -> None:
        """Hold one stream after the other, each from where the last one ended, the first one after an id."""
        query = "&".join(f"channel={one}" for one in listener.patterns)
        stream = Blocks(listener, last)
        while True:
            resume = f"Last-Event-ID: {stream.last}\r\n" if stream.last else ""
            try:
                request = f"GET /api/v1/stream?{query} HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n"
                async with self.connection(request) as (status, head, reader):
                    if status != 200 or b"text/event-stream" not in head:
                        self.account.wrong("streams refused", head.decode("latin-1"))
                    elif b"transfer-encoding: chunked" in head:
                        self.account.counts["streams"] += 1
                        await stream.read(reader)
                    else:  # NGINX itself answers while no replica does, and says when to come again
                        stream.take(await asyncio.wait_for(reader.readuntil(b"\n\n"), ANSWER_SECONDS))
            except TimeoutError:
                self.account.counts["streams that were silent"] += 1
            except (OSError, EOFError):
                self.account.counts["streams cut"] += 1
            await asyncio.sleep(stream.retry)

    # --- the run

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Have everybody publish and listen until the block ends, and wait for what is late."""
        readers = [asyncio.create_task(self.subscribe(one)) for one in self.listeners]
        await eventually(lambda: all(one.begun >= 0 for one in self.listeners))
        publishers = [asyncio.create_task(self.publish(one)) for one in range(self.size.publishers)]
        yield
        await self.calm()
        self.ending.set()
        await asyncio.gather(*publishers)
        await self.arrive()
        for task in readers:
            if task.done():
                task.result()  # a mistake of the oracle itself
            task.cancel()

    async def run(self, target: Target, seconds: float, count: int, losses: bool, engine: bool = False) -> None:
        """Let the stack suffer for so long, or so many times."""
        suffered = self.suffered
        async with self.traffic():
            until = time.monotonic() + seconds
            while time.monotonic() < until and len(suffered) < count:
                await self.calm()
                both = draw(self.fate, target.parts, losses, engine)
                suffered.append(" and ".join(map(str, both)))
                sys.stderr.write(f"{time.strftime('%X')} {suffered[-1]}\n")
                refused = sum(await asyncio.gather(*(asyncio.to_thread(suffer, target, one) for one in both)))
                self.account.counts["faults that the engine refused"] += refused
                if not await asyncio.to_thread(target.recover):
                    self.account.wrong("parts that did not come back", suffered[-1])

    async def calm(self) -> None:
        """Wait until each publisher has been accepted again."""
        wanted = [one + CALM for one in self.settled]
        await eventually(lambda: all(one >= due for one, due in zip(self.settled, wanted, strict=True)))

    async def arrive(self) -> None:
        """Wait until nothing is missing but what was told as lost."""
        await eventually(lambda: not any(one.lacks(self.ledger) and one.holes(self.ledger) for one in self.listeners))
        await asyncio.sleep(1)  # whatever comes twice comes now


async def eventually(true: Callable[[], bool]) -> None:
    """Wait until something is true, or for SETTLE_SECONDS: what is missing then is found by the judge."""
    until = time.monotonic() + SETTLE_SECONDS
    while not true() and time.monotonic() < until:  # noqa: ASYNC110 - what it waits for is spread over many tasks
        await asyncio.sleep(0.2)


def suffer(target: Target, one: Suffering) -> bool:
    """Carry a fault out; tell whether the engine refused, because of the other one or a load that it cannot bear."""
    try:
        one.fault(target, one.part, one.seconds)
    except APIError as error:
        sys.stderr.write(f"{one}: {error.explanation}\n")
        return True
    return False


class Blocks:
    """The blocks of one subscriber's streams."""

    def __init__(self, listener: Listener, last: str) -> None:
        self.listener = listener
        self.last, self.retry = last, 1.0

    async def read(self, reader: asyncio.StreamReader) -> None:
        """Read the chunks of one response until it ends."""
        rest = b""
        while size := int(await asyncio.wait_for(reader.readline(), SILENCE_SECONDS) or b"0", 16):
            rest += (await reader.readexactly(size + 2))[:-2]
            *blocks, rest = rest.split(b"\n\n")
            for one in blocks:
                self.take(one)

    def take(self, text: bytes) -> None:
        """Hand one block to the judge."""
        block = {name: value for name, _, value in (line.partition(": ") for line in text.decode().splitlines())}
        self.retry = int(block.get("retry", self.retry * 1000)) / 1000
        id_, kind = block.get("id", ""), block.get("event", "message")
        if kind == "gap":
            told = json.loads(block["data"])
            self.listener.gap(told["requested"], told["resumed_from"], told["reason"], time.monotonic())
        elif kind == "count":
            event, channel = block["data"].split()
            self.listener.event(event, channel, id_)
        if id_:
            self.listener.opened(id_)
            self.last = id_


def judge(
    stack: str, seconds: float, count: int, seed: int, losses: bool = False, engine: bool = False
) -> dict[str, object]:
    """Run the oracle; return its report."""
    target = Target(stack)
    oracle = Oracle("127.0.0.1", target.port, seed, Size())
    begun = time.monotonic()
    try:
        asyncio.run(oracle.run(target, seconds, count, losses, engine))
    except KeyboardInterrupt:
        oracle.account.wrong("interrupted", "what is missing may be on its way")
    for one in oracle.listeners:
        one.close(oracle.ledger)
    counts = oracle.account.counts
    figures = dict.fromkeys(("accepted", "delivered", "doubled", "disordered", "silent holes", "gaps told"), 0)
    return {
        "seed": seed,
        "seconds": round(time.monotonic() - begun),
        **figures,
        **dict(sorted(counts.items())),
        "examples": oracle.account.examples,
        "faults": oracle.suffered,
    }


def main() -> int:
    """Run by hand."""
    parser = argparse.ArgumentParser(description="Judge the promise of a stack while it suffers faults.")
    parser.add_argument("--stack", default="sse")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--faults", type=int, default=10_000, help="end after so many, too")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--losses", action="store_true", help="Kafka also loses the end of its log")
    parser.add_argument("--engine", action="store_true", help="dockerd is killed, too")
    given = parser.parse_args()
    sys.stderr.write(f"seed {given.seed}\n")
    report = judge(given.stack, given.seconds, given.faults, given.seed, given.losses, given.engine)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return int(bool(report["examples"]))


if __name__ == "__main__":
    sys.exit(main())
