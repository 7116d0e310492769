"""The load of platform.py, in its own process: one shape of load for a deployed stack, and what the stack spends on it.

    python bench/platform_load.py < job.json > sample.json

It is a client of load.py that sleeps until something is ready, and shares the cores with what it measures, as clients
on the same host do. Its own processor time is counted apart.
"""

from __future__ import annotations

import gc
import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence

from load import CONNECTS, PAYLOAD_BYTES, SETTLE_SECONDS, Load, connected, payload
from measurements import Sample, Shape, ShapeJob, Usage
from usage import Meter, since

HEAD = "POST /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
GRACE_SECONDS = 5.0  # for events that are late
NOTHING: Sample = {
    "shape": "", "seconds": 0.0, "events": 0, "deliveries": 0, "rate": 0.0, "p50_ms": 0.0, "p99_ms": 0.0,
    "lost": 0, "doubled": 0, "refused": 0, "cut": 0, "stream_kb": 0.0, "disk_bytes": 0.0,
    "used": {"containers": {}, "processes": {}, "engine": 0.0, "machine": 0.0, "client": 0.0},
}  # fmt: skip


def channel(number: int, shape: Shape) -> str:
    """Return the channel of an event: one after the other, so that each has the same number of events."""
    return f"bench.{number % shape['channels']}"


def stream(name: str, headers: str = "") -> bytes:
    """Return the request of a subscriber."""
    common = "Host: 127.0.0.1\r\nAccept: text/event-stream\r\n"
    return f"GET /api/v1/stream?channel={name} HTTP/1.1\r\n{common}{headers}\r\n".encode()


class PlatformLoad(Load):
    """One shape of load, for one stack."""

    def __init__(self, job: ShapeJob) -> None:
        super().__init__(
            {
                "port": job["port"],
                "subscribe": "",
                "publish_head": HEAD + job["headers"],
                "publish_tail": '{"channel":"CHANNEL","data":PAYLOAD}',
                "escape": False,
                "processes": {},
                "reader": job["reader"],
                "spin": False,
                "steps": [],
            },
            job["host"],
        )
        self.shape, self.headers = job["shape"], job["headers"]
        self.meter = Meter(job["containers"])
        self.stream_kb = 0.0

    def event(self, number: int, tail: bytes, size: int = PAYLOAD_BYTES) -> bytes:
        """Return the body of one event, for its channel."""
        data = payload(number, size)
        return tail.replace(b"CHANNEL", channel(number, self.shape).encode()).replace(b"PAYLOAD", data)

    def readers_of_each(self, subscribers: Sequence[socket.socket]) -> int:
        """Return how many of all subscribers get one event."""
        return len(subscribers) // self.shape["channels"]

    def run(self) -> Sample:
        """Make the load, and return what was measured."""
        kinds: dict[str, Callable[[], Sample]] = {
            "window": self.steady,
            "flood": self.publishing,
            "storm": self.storm,
            "churn": self.churn,
            "bystander": self.bystanding,
        }
        found = kinds[self.shape["kind"]]()
        return {**found, "shape": self.shape["name"], "stream_kb": self.stream_kb}

    def counted(self, work: Callable[[], Sample]) -> Sample:
        """Do something, and count what everything uses meanwhile."""
        before, begun = self.meter.read(), time.monotonic()
        found = work()
        seconds = time.monotonic() - begun
        used: Usage = since(before, self.meter.read())
        return {**found, "seconds": seconds, "used": used}

    def audience(self) -> None:
        """Open all streams, and publish for a second: what is made once is made then."""
        shape, count, before = self.shape, self.shape["channels"] * self.shape["each"], self.meter.resident_kb()
        self.subscribe([stream(channel(number, shape), self.headers) for number in range(count)])
        self.idle_seconds(SETTLE_SECONDS)
        self.stream_kb = max(0.0, (self.meter.resident_kb() - before) / count)
        self.published(1.0)

    def published(self, seconds: float) -> Sample:
        """Publish at the rate of the shape."""
        found = self.window(
            {
                "kind": "window",
                "name": "",
                "rate": self.shape["rate"],
                "seconds": seconds,
                "grace": GRACE_SECONDS,
                "bytes": self.shape["bytes"],
            }
        )
        return {
            **NOTHING,
            "events": found["published"],
            "deliveries": found["deliveries"],
            "rate": found["reached"],
            "p50_ms": found["p50_ms"],
            "p99_ms": found["p99_ms"],
            "lost": found["lost"],
            "doubled": found["doubled"],
            "refused": found["publish_errors"],
            "cut": found["streams_cut"],
        }

    def steady(self) -> Sample:
        """Publish at a fixed rate to subscribers that stay."""
        self.audience()
        return self.counted(lambda: self.published(self.shape["seconds"]))

    def bystanding(self) -> Sample:
        """Publish at a fixed rate to one replica. Nobody reads, and the others have nothing to do with it."""
        self.subscribers[""] = []
        self.published(1.0)
        return self.counted(lambda: self.published(self.shape["seconds"]))

    def publishing(self) -> Sample:
        """Publish as fast as answers come. Nobody reads."""
        shape = self.shape

        def work(seconds: float) -> Sample:
            found = self.flood(
                {
                    "kind": "flood",
                    "name": "",
                    "concurrency": shape["concurrency"],
                    "batch": shape["batch"],
                    "seconds": seconds,
                }
            )
            rate, refused = found["events_per_second"], found["refused"]
            return {**NOTHING, "events": found["events"], "rate": rate, "refused": refused}

        work(1.0)
        return self.counted(lambda: work(shape["seconds"]))

    def storm(self) -> Sample:
        """Connect, read the head of the answer, and leave, a hundred streams at a time."""

        def work() -> Sample:
            requests = [stream(channel(number, self.shape), self.headers) for number in range(CONNECTS)]
            begun = time.monotonic()
            came = self.come_and_go(requests, self.shape["seconds"])
            took = time.monotonic() - begun
            time.sleep(SETTLE_SECONDS)  # the replicas notice that somebody left
            return {**NOTHING, "events": came, "rate": came / took}

        return self.counted(work)

    def churn(self) -> Sample:
        """Publish at a fixed rate to subscribers that stay, while others come and go."""
        self.audience()
        ended = threading.Event()
        came = failed = 0

        def others() -> None:
            nonlocal came, failed
            pause = 1 / self.shape["concurrency"]
            while not ended.wait(pause):
                came += 1
                try:
                    with connected(self.job["port"], self.host) as one:
                        one.settimeout(GRACE_SECONDS)
                        one.sendall(stream(channel(came, self.shape), self.headers))
                        failed += not one.recv(4096).startswith(b"HTTP/1.1 200")
                except OSError:
                    failed += 1

        def work() -> Sample:
            thread = threading.Thread(target=others, daemon=True)
            thread.start()
            found = self.published(self.shape["seconds"])
            ended.set()
            thread.join()
            return {**found, "refused": found["refused"] + failed}

        return self.counted(work)


def main() -> None:
    """Run the job that comes on standard input."""
    job: ShapeJob = json.load(sys.stdin)
    gc.disable()  # a collection would look like latency of the platform
    one = PlatformLoad(job)
    json.dump(one.run(), sys.stdout)
    one.close()


if __name__ == "__main__":
    main()
