"""Test whether a deployed stack keeps its promise while its parts die, one after the other.

    .venv/bin/python bench/soak.py [--stack NAME] [--subscribers N] [--faults replica,kafka,...] [--json FILE]

Subscribers read through NGINX and resume by Last-Event-ID as a browser does. Publishers send numbered events with
idempotency keys and retry until each is accepted. Meanwhile containers are killed (SIGKILL to their first process, so
that Docker's restart policy acts), paused or restarted by `./sse restart`, or your own command runs. Run it on the host
of the stack, as root. The exit status is 1, with the reasons, where oracle.py finds the promise broken or where a part
does not come back.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import shlex
import signal
import sys
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypedDict

import docker
import httptools
import httpx
import uvloop
from docker.errors import APIError
from oracle import Ledger, Reader, Verdict

ROOT = Path(__file__).resolve().parents[1]
FAULTS = ("replica", "redis", "kafka", "nginx", "rolling", "pause-replica", "pause-redis", "pause-kafka")
SERVICES = {"replica": "app", "redis": "redis", "kafka": "kafka", "nginx": "nginx"}  # by fault
CHANNELS = 5
PUBLISH_SECONDS = 15.0  # more than the two tries of NGINX, of five seconds each
RETRY_SECONDS = 0.25  # before a publish is tried again
BACK_SECONDS = 120.0  # until a part is back, and until every subscriber has every event
CALM_SECONDS = 1.5  # after each fault
SILENCE_SECONDS = 50.0  # more than three heartbeats: a subscriber leaves a stream that is silent for so long


HEAD = (
    "fault",
    "publishing",
    "whole",
    "slowest",
    "retried",
    "reconnects",
    "resumed from",
    "gaps",
    "p50",
    "p99",
    "max ms",
)


class Latency(TypedDict):
    """Milliseconds from the first attempt to publish to a subscriber; None without deliveries."""

    p50: int | None
    p99: int | None
    max: int | None


class PhaseRecord(TypedDict):
    """A phase as JSON; see Phase for what each figure means."""

    fault: str
    target: str
    accepted_after_seconds: float | None
    whole_after_seconds: float | None
    slowest_publish_seconds: float
    retried: int
    reconnects: int
    byes: int
    silent: int
    gaps: int
    events: int
    deliveries: int
    resumes: dict[str, int]
    latency_ms: Latency


class Record(TypedDict):
    """A run as JSON."""

    stack: str
    replicas: int
    subscribers: int
    events_per_second: float
    events: int
    deliveries: int
    violations: dict[str, int]
    examples: list[str]
    faults: list[PhaseRecord]


class EventData(TypedDict):
    """The data of an event: its channel, its number there, and when it was published (CLOCK_MONOTONIC, in seconds)."""

    c: int
    n: int
    t: float


@dataclass
class Phase:
    """What happened during one fault and the recovery from it."""

    fault: str
    target: str
    begun: float = field(default_factory=time.monotonic)
    accepted_after: float | None = None  # seconds until a publish that began after the fault was accepted
    whole_after: float | None = None  # seconds until the part was back and every subscriber had every event
    slowest_publish: float = 0.0  # seconds, retries included
    retried: int = 0  # publishes that were refused or cut off, and were accepted later
    reconnects: int = 0
    byes: int = 0
    silent: int = 0
    gaps: int = 0
    events: int = 0
    deliveries: int = 0
    resumes: dict[str, int] = field(default_factory=dict[str, int])
    latency: Counter[int] = field(default_factory=Counter[int])  # milliseconds from the first attempt to a subscriber

    def percentile(self, share: float) -> int | None:
        """Return the milliseconds within which this share of deliveries came."""
        left = share * self.latency.total()
        for milliseconds in sorted(self.latency):
            left -= self.latency[milliseconds]
            if left <= 0:
                return milliseconds
        return None

    def record(self) -> PhaseRecord:
        """Return the phase as plain data."""
        return {
            "fault": self.fault,
            "target": self.target,
            "accepted_after_seconds": rounded(self.accepted_after),
            "whole_after_seconds": rounded(self.whole_after),
            "slowest_publish_seconds": round(self.slowest_publish, 2),
            "retried": self.retried,
            "reconnects": self.reconnects,
            "byes": self.byes,
            "silent": self.silent,
            "gaps": self.gaps,
            "events": self.events,
            "deliveries": self.deliveries,
            "resumes": self.resumes,
            "latency_ms": {
                "p50": self.percentile(0.5),
                "p99": self.percentile(0.99),
                "max": max(self.latency, default=None),
            },
        }


def rounded(seconds: float | None) -> float | None:
    """Round seconds to hundredths."""
    return None if seconds is None else round(seconds, 2)


class Stream(asyncio.Protocol):
    """The answer to one stream request, while it arrives."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.parser = httptools.HttpResponseParser(self)
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.heard = time.monotonic()
        self.buffer = b""
        self.replica = "NGINX itself"
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.transport.write(self.subscriber.request())

    def data_received(self, data: bytes) -> None:
        self.heard = time.monotonic()
        self.parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-replica":
            self.replica = value.decode()

    def on_headers_complete(self) -> None:
        self.subscriber.answered(self.parser.get_status_code(), self.replica)

    def on_body(self, body: bytes) -> None:
        *frames, self.buffer = (self.buffer + body).split(b"\n\n")
        for frame in frames:
            self.subscriber.frame(frame.decode())

    def on_message_complete(self) -> None:
        self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


class Subscriber:
    """One EventSource (WHATWG HTML, section 9.2). It reconnects by itself, with the last id that it got."""

    def __init__(self, soak: Soak, number: int, channels: tuple[int, ...]) -> None:
        self.soak = soak
        self.reader = Reader(f"subscriber {number}", channels, soak.ledger)
        self.connected = False
        self.begun = asyncio.Event()  # it has its first cursor
        self._channels = channels
        self._retry = 2.0  # seconds; the stream may set another value
        self._last_event_id = ""

    def request(self) -> bytes:
        """Return the head of a request."""
        query = "&".join(f"channel={self.soak.channel(one)}" for one in self._channels)
        if len(self._channels) == CHANNELS:
            query = f"channel={self.soak.channel('*')}"
        header = f"Last-Event-ID: {self._last_event_id}\r\n" if self._last_event_id else ""
        return (
            f"GET /api/v1/stream?{query} HTTP/1.1\r\nHost: {self.soak.host}\r\n"
            f"Accept: text/event-stream\r\n{header}{self.soak.authorization}\r\n"
        ).encode()

    async def run(self) -> None:
        """Read until the task is cancelled."""
        loop = asyncio.get_running_loop()
        stream: Stream | None = None
        try:
            while True:
                try:
                    _, stream = await loop.create_connection(lambda: Stream(self), self.soak.host, self.soak.port)
                    while not stream.ended.done():
                        await asyncio.wait((stream.ended,), timeout=SILENCE_SECONDS / 10)
                        if time.monotonic() - stream.heard > SILENCE_SECONDS:
                            self.soak.phase.silent += 1
                            break
                    stream.transport.abort()
                except OSError:
                    pass
                self.connected = False
                self.soak.phase.reconnects += 1
                await asyncio.sleep(self._retry)
        finally:
            if stream is not None:
                stream.transport.abort()

    def answered(self, status: int, replica: str) -> None:
        """Check the status: any other than 200 ends the EventSource of a browser for good."""
        self.reader.trail.append(f"{status} of {replica} for {self._last_event_id or 'no id'}")
        if status != 200:
            self.soak.verdict.add("stream refused", f"{self.reader.name} got status {status}")

    def frame(self, text: str) -> None:
        """Read one block of the stream."""
        event, data = "message", ""
        id_ = None
        for line in text.split("\n"):
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data = value
            elif name == "id":
                id_ = value
            elif name == "retry":
                self._retry = int(value) / 1000
        if id_ is not None:
            self._last_event_id = id_
            self.connected = True
            self.begun.set()
        self.reader.trail.append(f"{event} {data} {id_}" if data else f"id {id_}")
        if event == "soak":
            self.soak.delivered(self, json.loads(data), id_ or "")
        elif event == "gap":
            self.reader.gap()
            self.soak.phase.gaps += 1
        elif event == "bye":
            self.soak.phase.byes += 1


class Stack:
    """The containers of a stack, on the engine of this host."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.engine = docker.from_env()
        self.mine: dict[str, str | list[str] | bool] = {
            "label": f"sse.platform.stack={name}"
        }  # a filter of the engine for its containers
        nginx = self.of("nginx")
        if not nginx:
            sys.exit(f"soak: no stack named {name} runs here; ./sse status shows what runs")
        published = nginx[0].attrs["NetworkSettings"]["Ports"]["80/tcp"][0]
        self.host = published["HostIp"].replace("0.0.0.0", "127.0.0.1")
        self.port = int(published["HostPort"])

    def of(self, service: str) -> list[Any]:
        """Return the containers of a service, in the order of their names."""
        labels = [f"sse.platform.stack={self.name}", f"sse.platform.service={service}"]
        return sorted(self.engine.containers.list(all=True, filters={"label": labels}), key=lambda one: one.name)

    def pid(self, name: str) -> int:
        """Return the process id of its first process, as the host counts; 0 while it does not run."""
        return int(self.engine.containers.get(name).attrs["State"]["Pid"])

    def whole(self) -> bool:
        """Tell whether every replica says that it is ready."""
        return all(self._ready(one) for one in self.of("app"))

    def resumes(self) -> dict[str, Counter[str]]:
        """Return how many streams began, by the source of their first events, for every replica that answers."""
        found: dict[str, Counter[str]] = {}
        for one in self.of("app"):
            text = self._get(one, "/metrics")
            if text is not None:
                pairs = re.findall(r'^sse_resumes_total\{source="(\w+)"\} ([\d.]+)', text, re.MULTILINE)
                found[one.name] = Counter({source: int(float(count)) for source, count in pairs})
        return found

    def _ready(self, container: Any) -> bool:
        return container.status == "running" and self._get(container, "/health/ready") is not None

    def _get(self, container: Any, path: str) -> str | None:
        networks = container.attrs["NetworkSettings"]["Networks"].values()
        address = next((one["IPAddress"] for one in networks if one["IPAddress"]), None)
        try:
            with urllib.request.urlopen(f"http://{address}:8000{path}", timeout=2) as answer:
                return answer.read().decode()
        except OSError:
            return None


class Soak:
    """One run."""

    def __init__(self, stack: Stack, options: argparse.Namespace) -> None:
        self.stack = stack
        self.host, self.port = stack.host, stack.port
        self.run_id = uuid.uuid4().hex[:8]
        self.authorization = f"Authorization: Bearer {options.token}\r\n" if options.token else ""
        self.verdict = Verdict()
        self.ledger = Ledger(CHANNELS, self.verdict)
        self.phase = Phase("none", "")
        self.phases: list[Phase] = []
        self.options = options
        # Half of the subscribers read every channel by a pattern, the others one channel each.
        every = tuple(range(CHANNELS))
        self.subscribers = [
            Subscriber(self, number, every if number % 2 else (number // 2 % CHANNELS,))
            for number in range(options.subscribers)
        ]
        self._publishing = True

    def channel(self, suffix: object) -> str:
        """Return a channel that only this run uses."""
        return f"soak.{self.run_id}.{suffix}"

    def delivered(self, subscriber: Subscriber, data: EventData, id_: str) -> None:
        """Record an event that reached a subscriber."""
        self.phase.deliveries += 1
        self.phase.latency[round((time.monotonic() - data["t"]) * 1000)] += 1
        subscriber.reader.event(data["c"], data["n"], id_)

    async def run(self) -> None:
        """Do everything, in order."""
        readers = [asyncio.create_task(one.run()) for one in self.subscribers]
        async with asyncio.timeout(BACK_SECONDS):
            for one in self.subscribers:
                await one.begun.wait()
        limits = httpx.Limits(max_connections=CHANNELS)
        headers = {"Authorization": f"Bearer {self.options.token}"} if self.options.token else {}
        url = f"http://{self.host}:{self.port}"
        async with httpx.AsyncClient(base_url=url, timeout=PUBLISH_SECONDS, limits=limits, headers=headers) as client:
            publishers = [asyncio.create_task(self._publish(client, channel)) for channel in range(CHANNELS)]
            try:
                await self._faults()
            except TimeoutError:
                self.verdict.add("did not recover", f"{self.phase.fault} {self.phase.target}")
            self._publishing = False
            _, late = await asyncio.wait(publishers, timeout=BACK_SECONDS)
            for task in late:
                self.verdict.add("publish not settled", f"within {BACK_SECONDS:g} s of the end")
                task.cancel()
            await asyncio.gather(*publishers, return_exceptions=True)
        with suppress(TimeoutError):  # Reader.end says who misses which events
            async with asyncio.timeout(BACK_SECONDS):
                await until(lambda: self._caught_up(self.ledger.accepted))
        for task in readers:
            task.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        for one in self.subscribers:
            one.reader.end()

    # --- publishing

    async def _publish(self, client: httpx.AsyncClient, channel: int) -> None:
        interval = CHANNELS / self.options.rate
        due = time.monotonic()
        while self._publishing:
            await self._publish_one(client, channel)
            due = max(due + interval, time.monotonic())
            await asyncio.sleep(due - time.monotonic())

    async def _publish_one(self, client: httpx.AsyncClient, channel: int) -> None:
        number, begun = self.ledger.begin(channel), time.monotonic()
        event = {"channel": self.channel(channel), "event": "soak", "data": {"c": channel, "n": number, "t": begun}}
        headers = {"Idempotency-Key": f"{self.run_id}-{channel}-{number}"}
        tries = 0
        while True:
            attempt = time.monotonic()
            tries += 1
            try:
                answer = await client.post("/api/v1/events", json=event, headers=headers)
            except httpx.HTTPError:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            if answer.status_code == 202:
                break
            if answer.status_code != 503:
                self.verdict.add("publish answered", f"{answer.status_code} {answer.text[:200]}")
            await asyncio.sleep(RETRY_SECONDS)
        self.ledger.accept(channel, number, answer.json()["ids"][0])
        now, phase = time.monotonic(), self.phase
        phase.events += 1
        phase.retried += tries > 1
        phase.slowest_publish = max(phase.slowest_publish, now - begun)
        if phase.accepted_after is None and attempt >= phase.begun:
            phase.accepted_after = now - phase.begun

    # --- faults

    async def _faults(self) -> None:
        await self._suffer("none", "", self._nothing)
        for fault in self.options.faults:
            if fault == "rolling":
                await self._suffer(fault, "app", self._restart)
            elif fault.startswith("pause-"):  # one replica: the others would show the same
                container = self.stack.of(SERVICES[fault.removeprefix("pause-")])[0].name
                await self._suffer(fault, container, self._pause)
            else:
                for container in self.stack.of(SERVICES[fault]):
                    await self._suffer(fault, container.name, self._kill)
        if self.options.command:
            await self._suffer("command", "", lambda _: self._command(self.options.command))

    async def _suffer(self, fault: str, target: str, harm: Callable[[str], Awaitable[None]]) -> None:
        before = await asyncio.to_thread(self.stack.resumes)
        phase = self.phase = Phase(fault, target.removeprefix(f"{self.stack.name}-"))
        self.phases.append(phase)
        async with asyncio.timeout(BACK_SECONDS):
            await harm(target)
            await until(self.stack.whole)
            begun = list(self.ledger.begun)  # whoever gets an event published from now on works again
            await until(lambda: self._caught_up([one + 1 for one in begun]))
        phase.whole_after = time.monotonic() - phase.begun
        await asyncio.sleep(CALM_SECONDS)
        after = await asyncio.to_thread(self.stack.resumes)
        phase.resumes = dict(
            sum((_since(before.get(name, Counter()), now) for name, now in after.items()), Counter[str]())
        )
        progress(f"{fault} {target}: whole after {phase.whole_after:.1f} s")

    def _caught_up(self, counts: list[int]) -> bool:
        return all(one.connected and one.reader.has(counts) for one in self.subscribers)

    async def _nothing(self, _: str) -> None:
        await asyncio.sleep(CALM_SECONDS)

    async def _kill(self, container: str) -> None:
        before = self.stack.pid(container)
        os.kill(before, signal.SIGKILL)
        await until(lambda: self.stack.pid(container) not in (0, before))

    async def _pause(self, container: str) -> None:
        found = self.stack.engine.containers.get(container)

        def paused() -> bool:
            with suppress(APIError):  # on a busy host the kernel sometimes fails to freeze a container
                found.pause()
            found.reload()
            return found.status == "paused"

        await until(paused)
        try:
            await asyncio.sleep(self.options.pause)
        finally:
            await asyncio.to_thread(found.unpause)

    async def _restart(self, service: str) -> None:
        restart = (sys.executable, str(ROOT / "tools" / "restart.py"), service, "-e", f"stack_name={self.stack.name}")
        await self._command(shlex.join(restart))

    async def _command(self, command: str) -> None:
        run = await asyncio.create_subprocess_shell(
            command,
            cwd=ROOT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await run.communicate()
        if run.returncode:
            self.verdict.add("command failed", f"status {run.returncode}: {output.decode()[-1000:]}")

    # --- report

    def record(self) -> Record:
        """Return the run as plain data."""
        return {
            "stack": self.stack.name,
            "replicas": len(self.stack.of("app")),
            "subscribers": len(self.subscribers),
            "events_per_second": self.options.rate,
            "events": sum(self.ledger.accepted),
            "deliveries": sum(phase.deliveries for phase in self.phases),
            "violations": dict(self.verdict.counts),
            "examples": self.verdict.examples,
            "faults": [phase.record() for phase in self.phases],
        }


async def until(true: Callable[[], bool]) -> None:
    """Ask in a thread until the answer is yes. The caller sets the time limit."""
    for pause in itertools.chain((0.02, 0.05, 0.1), itertools.repeat(0.2)):
        if await asyncio.to_thread(true):
            return
        await asyncio.sleep(pause)


def _since(before: Counter[str], now: Counter[str]) -> Counter[str]:
    """Return what was counted between two looks. A replica that was started again counts from 0."""
    return now if any(now[source] < count for source, count in before.items()) else now - before


def progress(line: str) -> None:
    """Say what just happened."""
    print(f"  {time.strftime('%H:%M:%S')} {line}", file=sys.stderr, flush=True)


def table(record: Record) -> str:
    """Write the run as a table for people."""
    rows: list[tuple[str, ...]] = [HEAD]
    for one in record["faults"]:
        seconds = (one["accepted_after_seconds"], one["whole_after_seconds"], one["slowest_publish_seconds"])
        resumed = ", ".join(f"{source} {count}" for source, count in sorted(one["resumes"].items()) if count)
        rows.append(
            (
                f"{one['fault']} {one['target']}".strip(),
                *("never" if value is None else f"{value:.1f} s" for value in seconds),
                *map(str, (one["retried"], one["reconnects"], resumed or "-", one["gaps"])),
                *map(str, (one["latency_ms"]["p50"], one["latency_ms"]["p99"], one["latency_ms"]["max"])),
            )
        )
    return columns(rows)


def columns(rows: list[tuple[str, ...]]) -> str:
    """Write rows of equally many cells below each other, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def faults(text: str) -> list[str]:
    """Parse --faults."""
    chosen = [one for one in text.split(",") if one]
    if unknown := [one for one in chosen if one not in FAULTS]:
        raise argparse.ArgumentTypeError(f"unknown fault {', '.join(unknown)}: expected some of {', '.join(FAULTS)}")
    return chosen


def main() -> int:
    """Run, report, and return 1 where the promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="sse", help="the stack_name of the stack (default: sse)")
    parser.add_argument("--subscribers", type=int, default=200, help="subscribers (default: 200)")
    parser.add_argument("--rate", type=float, default=20, help="events a second over all channels (default: 20)")
    parser.add_argument(
        "--faults", type=faults, default=list(FAULTS), help=f"some of {','.join(FAULTS)} (default: all)"
    )
    parser.add_argument("--command", help="run this in a shell at the end, such as './sse up -e app_link=tcp'")
    parser.add_argument("--pause", type=float, default=8, help="pause a container for so many seconds (default: 8)")
    parser.add_argument("--token", help="bearer token, where the stack requires one to publish or subscribe")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file")
    options = parser.parse_args()
    soak = Soak(Stack(options.stack), options)
    progress(f"{options.subscribers} subscribers at http://{soak.host}:{soak.port}, {options.rate:g} events a second")
    uvloop.run(soak.run())
    record = soak.record()
    if options.json:
        options.json.write_text(json.dumps(record, indent=1))
    print(table(record))
    print(f"{record['events']} events, {record['deliveries']} deliveries to {record['subscribers']} subscribers")
    for example in record["examples"]:
        print(f"VIOLATED  {example}")
    print(
        "violated: " + ", ".join(f"{count} {kind}" for kind, count in record["violations"].items())
        if record["violations"]
        else "the promise held: nothing lost, doubled, out of order or refused"
    )
    return 1 if record["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
