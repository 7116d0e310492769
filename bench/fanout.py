"""What fan-out costs, beside other hubs on the same machine in one run; medians of interleaved rounds.

    .venv/bin/python bench/fanout.py [--quick] [--json FILE] [--write-docs]

Two kinds of rows, never mixed: fan-out alone (every hub with its log in memory), and end to end through Kafka. The hub
has one core and the client another. Needs root and a C compiler; Go for Mercure's hub, apt for nchan, Docker and the
platform's image for Kafka: what cannot be had is skipped by name. Every process it starts is ended by its id. Some 12
minutes, with --quick 3.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import load
import peers
import report
from peers import PEERS, ROOT, Hub, SkippedError, Workplace

Start = Callable[[Workplace], Hub]

SUBSCRIBERS = 1000
LOW, HIGH = 20, 200  # events per second, to each subscriber
PAIRS = 3  # of windows for each link of NGINX, in every round
LADDER = [
    5,
    10,
    20,
    30,
    40,
    60,
    80,
    100,
    150,
    200,
    250,
    300,
    400,
    600,
    800,
    1000,
    1200,
    1600,
]  # where "holds" is looked for
IDLE_SUBSCRIBERS = 10_000
RESUMED_EVENTS = 10_000
DOCUMENTS = [ROOT / "docs" / "performance.md", ROOT / "README.md"]


class Bench:
    """One run: its options, what was measured, and what was skipped."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.quick: bool = options.quick
        self.first_port: int = options.port
        self.rounds: int = 1 if self.quick else options.rounds
        self.seconds = 3.0 if self.quick else 5.0
        self.versions: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    @contextlib.contextmanager
    def attempt(self, name: str) -> Iterator[Workplace]:
        """Measure something; what cannot be had is skipped by name."""
        try:
            with peers.workplace(self.first_port, self.versions) as place:
                yield place
        except SkippedError as error:
            self.skipped[name] = str(error)
            say(f"{name}: skipped, {error}")

    def standard(self, hub: Hub) -> dict[str, Any]:
        """Memory of idle connections, the low rate and the high rate."""
        return measure(
            hub,
            subscribe(SUBSCRIBERS),
            window("warm-up", LOW, 1),
            window("low", LOW, self.seconds),
            window("high", HIGH, self.seconds),
        )

    def round(self, rounds: dict[str, list[dict[str, Any]]], name: str, title: str, start: Start) -> None:
        """One peer's turn."""
        if title in self.skipped:
            return
        with self.attempt(title) as place:
            found = self.standard(start(place))
            rounds.setdefault(name, []).append(found)
            say(f"{title}: {report.line(found)}")

    def fan_out(self) -> dict[str, Any]:
        """Every hub with its log in memory."""
        rounds: dict[str, list[dict[str, Any]]] = {}
        for _ in range(self.rounds):
            for name, start in PEERS.items():
                self.round(rounds, name, name, start)
        return {"rounds": rounds, "holds": {} if self.quick else {name: self.holds(name) for name in rounds}}

    def holds(self, name: str) -> int:
        """The highest rate of the ladder that a hub keeps up with, by bisection; 0 for none."""
        low, high = -1, len(LADDER)
        while high - low > 1:
            middle = (low + high) // 2
            # Twice, because one moment of somebody else's on this machine is no reason to call a rate too high.
            low, high = (middle, high) if any(self._kept(name, LADDER[middle]) for _ in range(2)) else (low, middle)
        return LADDER[low] if low >= 0 else 0

    def _kept(self, name: str, rate: int) -> bool:
        with self.attempt(f"{name} at {rate} events/s") as place:
            found = measure(PEERS[name](place), subscribe(SUBSCRIBERS), window("rate", rate, 3.0))["rate"]
            kept = report.keeps_up(found)
            say(f"{name}: {rate} events/s {'held' if kept else 'not held'}, p99 {found['p99_ms']:.0f} ms")
            return kept
        return False

    def nginx(self) -> dict[str, Any]:
        """Ours behind NGINX, both on the one core; the same processes serve both links in turn, window by window."""
        rounds: dict[str, list[dict[str, Any]]] = {link: [] for link in peers.LINKS}
        for number in range(self.rounds):
            with self.attempt("behind NGINX") as place:
                hub = peers.behind_nginx(place)
                # In turn forwards and backwards, so that neither link always comes first.
                links = peers.LINKS if number % 2 else tuple(reversed(peers.LINKS))
                steps = [subscribe(SUBSCRIBERS), window("warm-up", LOW, 1)]
                for pair in range(1 if self.quick else PAIRS):
                    steps += [window(f"low {pair}", LOW, self.seconds), window(f"high {pair}", HIGH, self.seconds)]
                found = measure(hub, *(peers.by_link(hub, link, step) for step in steps for link in links))
                for pair in range(1 if self.quick else PAIRS):
                    for link in peers.LINKS:
                        names = {"subscribed": "subscribed", "low": f"low {pair}", "high": f"high {pair}"}
                        rounds[link].append({short: found[f"{link} {name}"] for short, name in names.items()})
                        say(f"behind NGINX, {link}: {report.line(rounds[link][-1])}")
        return {"rounds": rounds} if all(rounds.values()) else {}

    def idle(self) -> dict[str, Any]:
        """Ten thousand subscribers to whom nothing comes but heartbeats."""
        with self.attempt("idle subscribers") as place:
            found = measure(
                peers.ours(place),
                subscribe(IDLE_SUBSCRIBERS),
                {"name": "idle", "kind": "idle", "seconds": 15.0 if self.quick else 30.0},
            )
            say(f"idle: {found}")
            return {**found["subscribed"], **found["idle"]}
        return {}

    def kafka(self) -> dict[str, Any]:
        """End to end: published with acks=all, read back, and fanned out."""
        with self.attempt("Kafka") as place:
            address, pids = peers.kafka(place)
            hub = peers.ours(place, KAFKA_BROKERS=address, SSE_MAX_BATCH_EVENTS="500")
            hub.processes["broker"] = pids
            hub.spin = False  # the broker is on the client's core
            found = measure(
                hub,
                subscribe(SUBSCRIBERS),
                window("warm-up", LOW, 3),
                window("low", LOW, 2 * self.seconds),
            )
            found |= measure(hub, flood("single", 32, 1, self.seconds), flood("batch", 8, 100, self.seconds))
            found["resume"] = self.resume(hub)
            say(f"Kafka: {found}")
            return found
        return {}

    def resume(self, hub: Hub) -> dict[str, Any]:
        """Many subscribers that come back at once, each for many events."""
        base = 9_000_000_000  # numbers of its own
        cursor = post(hub.port, [base - 1])[0]
        for begin in range(base, base + RESUMED_EVENTS, 500):
            post(hub.port, list(range(begin, begin + 500)))
        request = hub.subscribe.replace("channel=bench", f"channel=bench&last_event_id={cursor}")
        step = {"name": "resume", "kind": "resume", "count": SUBSCRIBERS, "events": RESUMED_EVENTS, "base": base}
        return measure(hub, {**step, "request": request, "grace": 30.0})["resume"]


def subscribe(count: int) -> dict[str, Any]:
    """Open streams, and see what memory they take."""
    return {"name": "subscribed", "kind": "subscribe", "count": count, "settle": 1.0}


def window(name: str, rate: float, seconds: float) -> dict[str, Any]:
    """Publish at a rate; 2 s more for what is late."""
    return {"name": name, "kind": "window", "rate": rate, "seconds": seconds, "grace": 2.0}


def flood(name: str, concurrency: int, batch: int, seconds: float) -> dict[str, Any]:
    """Publish as fast as answers come."""
    return {"name": name, "kind": "flood", "concurrency": concurrency, "batch": batch, "seconds": seconds}


def measure(hub: Hub, *steps: dict[str, Any]) -> dict[str, Any]:
    """Have the client do these steps; its results by their names."""
    command = [sys.executable, load.__file__, str(peers.CLIENT_CORE)]
    done = subprocess.run(command, input=json.dumps(hub.job(list(steps))).encode(), capture_output=True, check=False)
    if done.returncode:
        raise SkippedError(f"the client failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return json.loads(done.stdout)


def post(port: int, numbers: list[int]) -> list[str]:
    """Publish a batch to our service; the ids."""
    events = b",".join(b'{"channel":"bench","data":%b}' % load.payload(number) for number in numbers)
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/events", b"[" + events + b"]", headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["ids"]


def machine() -> dict[str, Any]:
    """What it ran on, and nothing that names it."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
    }


def say(text: str) -> None:
    """Show progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def main() -> None:
    """Measure everything in one run."""
    parser = argparse.ArgumentParser(description="What fan-out costs, beside other hubs")
    parser.add_argument("--quick", action="store_true", help="one short round and no search for the highest rate")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--port", type=int, default=21400, help="the first of the ports to use")
    parser.add_argument("--json", type=Path, default=ROOT / ".ansible" / "bench-fanout.json")
    parser.add_argument("--write-docs", action="store_true", help="put the JSON's tables into README.md and docs")
    parser.add_argument("--no-run", action="store_true", help="measure nothing: read the JSON file")
    parser.add_argument("--only", choices=["fan_out", "nginx", "idle", "kafka"], nargs="*", help="these rows alone")
    options = parser.parse_args()
    if options.no_run:
        result = json.loads(options.json.read_text())
    else:
        if (os.cpu_count() or 1) < 2:
            sys.exit("fanout.py needs two cores: one for the hub, one for the client")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))  # by way of what ends the servers
        bench, begun = Bench(options), time.monotonic()
        rows = options.only or ["fan_out", "nginx", "idle", "kafka"]
        result = {row: getattr(bench, row)() for row in rows}
        result |= {
            "machine": machine(),
            "versions": bench.versions,
            "skipped": bench.skipped,
            "rounds": bench.rounds,
            "quick": bench.quick,
            "minutes": round((time.monotonic() - begun) / 60, 1),
        }
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(report.markdown(result))
    if options.write_docs:
        for path in DOCUMENTS:
            path.write_text(report.filled(path.read_text(), result))


if __name__ == "__main__":
    main()
