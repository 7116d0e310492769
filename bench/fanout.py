"""Measure what fan-out costs, and compare it with other hubs on the same machine; medians of interleaved rounds.

    .venv/bin/python bench/fanout.py [--quick] [--json FILE] [--write-docs]

There are two kinds of rows, and they are never mixed: fan-out alone (every hub has its log in memory), and the whole
way through Kafka. The hub has one core and the client another one. It needs root and a C compiler, Go for the hub of
Mercure, apt for nchan, Docker and the platform's image for Kafka. What is missing is skipped by name. It ends every
process that it starts by its id. It takes some 12 minutes, and 3 with --quick.
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
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import load
import peers
import report
from measurements import (
    FanOut,
    Flood,
    FloodStep,
    ForUsers,
    Idle,
    IdleStreams,
    Links,
    Machine,
    Posts,
    Result,
    Resume,
    ResumeStep,
    Round,
    ShapedRound,
    Shapes,
    Step,
    Subscribed,
    SubscribeStep,
    ThroughKafka,
    Window,
    WindowStep,
)
from peers import FLOOR, PEERS, ROOT, WITH_FLOOR, Hub, SkippedError, Workplace

Start = Callable[[Workplace], Hub]

SUBSCRIBERS = 1000
LOW, HIGH = 20, 200  # events per second, to each subscriber
PAIRS = 3  # windows at each rate for each link of NGINX, in every round
# The rates among which the highest one is searched that a hub keeps up with.
LADDER = (5, 10, 20, 30, 40, 60, 80, 100, 150, 200, 250, 300, 400, 600, 800, 1000, 1200, 1600)
USERS = 1000  # channels with a subscriber each, as in notifications for each user
USER_RATES = (200, 1000, 2000)  # events per second, over all of them
PUBLISHERS = 16
BIG_BYTES, BIG_RATE = 2048, 150  # of an event, and events per second to each subscriber
SHAPED = ("ours", "nchan", "Mercure", "Centrifugo", "sse-starlette", FLOOR)
IDLE_SUBSCRIBERS = 10_000
RESUMED_EVENTS = 10_000
ROWS = ["fan_out", "users", "posts", "shapes", "nginx", "idle", "kafka"]
DOCUMENTS = [ROOT / "docs" / "performance.md", ROOT / "README.md"]


class Bench:
    """One run: its options, the versions that it met, and what was skipped."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.quick: bool = options.quick
        self.first_port: int = options.port
        self.rounds: int = 1 if self.quick else options.rounds
        self.seconds = 3.0 if self.quick else 5.0
        self.versions: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    @contextlib.contextmanager
    def attempt(self, name: str) -> Generator[Workplace]:
        """Measure something. Where that is not possible, remember the reason under this name."""
        try:
            with peers.workplace(self.first_port, self.versions) as place:
                yield place
        except SkippedError as error:
            self.skipped[name] = str(error)
            say(f"{name}: skipped: {error}")

    def standard(self, hub: Hub) -> Round:
        """Measure the memory of idle connections, the low rate and the high rate."""
        found = measure(
            hub,
            subscribe(SUBSCRIBERS),
            window("warm-up", LOW, 1),
            window("low", LOW, self.seconds),
            window("high", HIGH, self.seconds),
        )
        return {"subscribed": found["subscribed"], "low": found["low"], "high": found["high"]}

    def fan_out(self) -> FanOut:
        """Measure every hub with its log in memory."""
        rounds: dict[str, list[Round]] = {}
        for _ in range(self.rounds):
            for name, start in PEERS.items():
                if name in self.skipped:
                    continue
                with self.attempt(name) as place:
                    found = self.standard(start(place))
                    rounds.setdefault(name, []).append(found)
                    say(f"{name}: {report.line(found)}")
        return {"rounds": rounds, "holds": {} if self.quick else {name: self.holds(name) for name in rounds}}

    def holds(self, name: str) -> int:
        """Return the highest rate of the ladder that a hub keeps up with, found by bisection; 0 for none."""
        low, high = -1, len(LADDER)
        while high - low > 1:
            middle = (low + high) // 2
            # Twice: a short load from somebody else on this machine does not make a rate too high.
            low, high = (middle, high) if any(self._kept(name, LADDER[middle]) for _ in range(2)) else (low, middle)
        return LADDER[low] if low >= 0 else 0

    def _kept(self, name: str, rate: int) -> bool:
        with self.attempt(f"{name} at {rate} events/s") as place:
            found = measure(PEERS[name](place), subscribe(SUBSCRIBERS), window("rate", rate, 3.0))["rate"]
            kept = report.keeps_up(found)
            say(f"{name}: {rate} events/s {'held' if kept else 'not held'}, p99 {found['p99_ms']:.0f} ms")
            return kept
        return False

    def users(self) -> ForUsers:
        """Measure every hub with a channel for each subscriber: here the publish costs most."""
        rounds: dict[str, list[list[Window]]] = {}
        for _ in range(self.rounds):
            for name, start in WITH_FLOOR.items():
                with self.attempt(f"{name} for users") as place:
                    streams, warm_up = subscribe(USERS), window("warm-up", LOW, 1)
                    windows = [window(f"{rate}", rate, self.seconds) for rate in USER_RATES]
                    for step in (streams, warm_up, *windows):
                        step["users"] = USERS
                    found = measure(start(place), streams, warm_up, *windows)
                    rounds.setdefault(name, []).append([found[step["name"]] for step in windows])
                    say(f"{name} for users: {report.user_line(rounds[name][-1])}")
        return {"channels": USERS, "rounds": rounds}

    def posts(self) -> Posts:
        """Measure every hub that gets single events from publishers which keep their connections."""
        rounds: dict[str, list[Flood]] = {}
        for _ in range(self.rounds):
            for name, start in WITH_FLOOR.items():
                with self.attempt(f"{name}, single events") as place:
                    hub = start(place)
                    hub.spin = False
                    steps = [flood("warm-up", PUBLISHERS, 1, 1), flood("single", PUBLISHERS, 1, self.seconds)]
                    rounds.setdefault(name, []).append(measure(hub, *steps)["single"])
                    say(f"{name}: {report.post_line(rounds[name][-1])}")
        return {"rounds": rounds}

    def shapes(self) -> Shapes:
        """Measure hubs by a client that sleeps, with larger events, and with streams that come and go."""
        rounds: dict[str, list[ShapedRound]] = {}
        for _ in range(self.rounds):
            for name in SHAPED:
                with self.attempt(f"{name}, other loads") as place:
                    hub = WITH_FLOOR[name](place)
                    hub.spin = False
                    big = window("big", BIG_RATE, self.seconds)
                    big["bytes"] = BIG_BYTES
                    steps: list[Step] = [subscribe(SUBSCRIBERS), window("warm-up", LOW, 1)]
                    steps += [window("low", LOW, self.seconds), window("high", HIGH, self.seconds)]
                    found = measure(hub, *steps)
                    kept = report.keeps_up(found["high"])
                    larger = measure(hub, subscribe(SUBSCRIBERS), big)["big"] if kept else None
                    storm = measure(hub, {"name": "storm", "kind": "storm", "seconds": self.seconds})["storm"]
                    one: ShapedRound = {"low": found["low"], "high": found["high"], "big": larger, "storm": storm}
                    rounds.setdefault(name, []).append(one)
                    say(f"{name}, other loads: {report.shapes_line(one)}")
        return {"rounds": rounds}

    def nginx(self) -> Links | None:
        """Measure our service behind NGINX, both on one core. The same processes serve both links, window by window."""
        rounds: dict[str, list[Round]] = {link: [] for link in peers.LINKS}
        pairs = 1 if self.quick else PAIRS
        for number in range(self.rounds):
            with self.attempt("behind NGINX") as place:
                hub = peers.behind_nginx(place)
                # Every second round is in reverse order, so that neither link is always first.
                links = peers.LINKS if number % 2 else tuple(reversed(peers.LINKS))
                steps: list[SubscribeStep | WindowStep] = [subscribe(SUBSCRIBERS), window("warm-up", LOW, 1)]
                for pair in range(pairs):
                    steps += [window(f"low {pair}", LOW, self.seconds), window(f"high {pair}", HIGH, self.seconds)]
                found = measure(hub, *(peers.by_link(hub, link, step) for step in steps for link in links))
                for pair in range(pairs):
                    for link in peers.LINKS:
                        rounds[link].append(
                            {
                                "subscribed": found[f"{link} subscribed"],
                                "low": found[f"{link} low {pair}"],
                                "high": found[f"{link} high {pair}"],
                            }
                        )
                        say(f"behind NGINX, {link}: {report.line(rounds[link][-1])}")
        return {"rounds": rounds} if all(rounds.values()) else None

    def idle(self) -> IdleStreams | None:
        """Measure ten thousand subscribers that get nothing but heartbeats."""
        with self.attempt("idle subscribers") as place:
            found = measure(
                peers.ours(place),
                subscribe(IDLE_SUBSCRIBERS),
                {"name": "idle", "kind": "idle", "seconds": 15.0 if self.quick else 30.0},
            )
            say(f"idle: {found}")
            subscribed: Subscribed = found["subscribed"]
            idle: Idle = found["idle"]
            return {**subscribed, **idle}
        return None

    def kafka(self) -> ThroughKafka | None:
        """Measure the whole way: published with acks=all, read back from Kafka, and fanned out."""
        with self.attempt("Kafka") as place:
            broker = peers.kafka(place)
            hub = peers.ours(place, peers.HUB_CORE, **broker.settings, SSE_MAX_BATCH_EVENTS="500")
            hub.processes["broker"] = broker.pids
            hub.spin = False  # the broker shares the core of the client
            found = measure(
                hub,
                subscribe(SUBSCRIBERS),
                window("warm-up", LOW, 3),
                window("low", LOW, 2 * self.seconds),
            )
            found |= measure(hub, flood("single", 32, 1, self.seconds), flood("batch", 8, 100, self.seconds))
            found["resume"] = self.resume(hub)
            say(f"Kafka: {found}")
            return {"low": found["low"], "single": found["single"], "batch": found["batch"], "resume": found["resume"]}
        return None

    def resume(self, hub: Hub) -> Resume:
        """Measure many subscribers that come back at once, each for many events."""
        base = 9_000_000_000  # numbers that nothing else uses
        cursor = post(hub.port, [base - 1])[0]
        for begin in range(base, base + RESUMED_EVENTS, 500):
            post(hub.port, list(range(begin, begin + 500)))
        request = hub.subscribe.replace("channel=bench", f"channel=bench&last_event_id={cursor}")
        step: ResumeStep = {
            "name": "resume",
            "kind": "resume",
            "count": SUBSCRIBERS,
            "events": RESUMED_EVENTS,
            "base": base,
            "request": request,
            "grace": 30.0,
        }
        return measure(hub, step)["resume"]


def subscribe(count: int) -> SubscribeStep:
    """Return the step that opens streams, and shows the memory that they take."""
    return {"name": "subscribed", "kind": "subscribe", "count": count, "settle": 1.0}


def window(name: str, rate: float, seconds: float) -> WindowStep:
    """Return the step that publishes at a rate, and waits 2 s for events that are late."""
    return {"name": name, "kind": "window", "rate": rate, "seconds": seconds, "grace": 2.0}


def flood(name: str, concurrency: int, batch: int, seconds: float) -> FloodStep:
    """Return the step that publishes as fast as answers come."""
    return {"name": name, "kind": "flood", "concurrency": concurrency, "batch": batch, "seconds": seconds}


def measure(hub: Hub, *steps: Step) -> dict[str, Any]:
    """Let the client do these steps, and return the result of each by its name: what its kind of step measures."""
    command = [sys.executable, load.__file__, str(peers.CLIENT_CORE)]
    done = subprocess.run(command, input=json.dumps(hub.job(list(steps))).encode(), capture_output=True, check=False)
    if done.returncode:
        raise SkippedError(f"the client failed: {done.stderr.decode(errors='replace').strip()[-300:]}")
    return json.loads(done.stdout)


def post(port: int, numbers: list[int]) -> list[str]:
    """Publish a batch to our service, and return the ids."""
    events = b",".join(b'{"channel":"bench","data":%b}' % load.payload(number) for number in numbers)
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/events", b"[" + events + b"]", headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.load(answer)["ids"]


def commit() -> str:
    """Return which commit is measured, so that a table shows how old it is; empty outside of a checkout."""
    command = ["git", "describe", "--always", "--dirty=, changed"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return run.stdout.strip()


def machine() -> Machine:
    """Describe the machine, without anything that identifies it."""
    cpu = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpu": cpu[0].partition(":")[2].strip() if cpu else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory / 2**30),
        "kernel": platform.release(),
        "system": platform.freedesktop_os_release()["PRETTY_NAME"],
        "commit": commit(),
    }


def say(text: str) -> None:
    """Show progress."""
    print(f"  {text}", file=sys.stderr, flush=True)


def run(options: argparse.Namespace) -> Result:
    """Measure the rows that were asked for."""
    bench, begun = Bench(options), time.monotonic()
    rows: dict[str, Callable[[], object]] = {
        "fan_out": bench.fan_out,
        "users": bench.users,
        "posts": bench.posts,
        "shapes": bench.shapes,
        "nginx": bench.nginx,
        "idle": bench.idle,
        "kafka": bench.kafka,
    }
    found: Any = {name: measured() for name, measured in rows.items() if name in (options.only or rows)}
    return found | {
        "machine": machine(),
        "versions": bench.versions,
        "skipped": bench.skipped,
        "rounds": bench.rounds,
        "quick": bench.quick,
        "minutes": round((time.monotonic() - begun) / 60, 1),
    }


def end(*_: object) -> None:
    """End by SIGTERM as by an error, so that the servers are ended too."""
    sys.exit("fanout.py was ended by a signal")


def main() -> None:
    """Measure everything in one run."""
    parser = argparse.ArgumentParser(description="Measure what fan-out costs, and compare it with other hubs.")
    parser.add_argument("--quick", action="store_true", help="do one short round, and do not search the highest rate")
    parser.add_argument("--rounds", type=int, default=3, help="how often to measure every hub (default: 3)")
    parser.add_argument("--port", type=int, default=21400, help="use ports from this one on (default: 21400)")
    parser.add_argument(
        "--json", type=Path, default=ROOT / ".ansible" / "bench-fanout.json", help="write figures there"
    )
    parser.add_argument("--write-docs", action="store_true", help="put the tables into README.md and docs")
    parser.add_argument("--no-run", action="store_true", help="measure nothing, and read the JSON file")
    parser.add_argument("--only", choices=ROWS, nargs="*", help="measure only these")
    options = parser.parse_args()
    if options.no_run:
        result: Result = json.loads(options.json.read_text())
    else:
        if (os.cpu_count() or 1) < 2:
            sys.exit("fanout.py needs two cores: one for the hub, one for the client")
        signal.signal(signal.SIGTERM, end)
        result = run(options)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    print(report.markdown(result))
    if options.write_docs:
        for path in DOCUMENTS:
            path.write_text(report.filled(path.read_text(), result))


if __name__ == "__main__":
    main()
