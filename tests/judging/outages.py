"""What clients notice while a command runs: 200 streams and 20 publishers, judged by the oracle of judge.py.

    .venv/bin/python tests/judging/outages.py http://ADDRESS -- COMMAND [ARGUMENTS]

Each client has one figure: for a publisher, the longest that a publish took until it was accepted, repeated as often as
that needed; for a subscriber, the longest that an event took from its first try to the stream. The last line says the
figures as JSON. The exit status is that of the command, or 1 where anything was lost, doubled, out of order or a gap.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1]))

from judging.judge import Oracle, Size
from judging.ledger import Account, Listener

# 20 publishes and 30 events a second, which are some 2,400 deliveries: few, so that a loaded machine bears them.
CROWD = Size(subscribers=200, publishers=20, batch=2, at_once=1, pause=1.0)
MARK = "outages: "


class Watched(Listener):
    """A subscriber that knows when an event was first tried to be published, and how late it came."""

    def __init__(self, name: str, patterns: tuple[str, ...], account: Account, tried: dict[str, float]) -> None:
        super().__init__(name, patterns, account)
        self.tried = tried
        self.longest = 0.0

    def event(self, event: str, channel: str, id_: str) -> None:
        super().event(event, channel, id_)
        self.longest = max(self.longest, time.monotonic() - self.tried[event])


class Watch(Oracle):
    """The oracle, while a command runs."""

    def __init__(self, host: str, port: int, seed: int, size: Size = CROWD) -> None:
        self.tried: dict[str, float] = {}
        self.watched: list[Watched] = []
        self.waited = [0.0] * size.publishers
        super().__init__(host, port, seed, size)

    def listener(self, name: str, patterns: tuple[str, ...]) -> Listener:
        self.watched.append(Watched(name, patterns, self.account, self.tried))
        return self.watched[-1]

    def batch(self, name: str) -> list[dict[str, str]]:
        drawn = super().batch(name)
        self.tried |= dict.fromkeys((one["data"].split()[0] for one in drawn), time.monotonic())
        return drawn

    async def settle(self, name: str) -> None:
        publisher, begun = int(name.partition(":")[0]), time.monotonic()
        await super().settle(name)
        self.waited[publisher] = max(self.waited[publisher], time.monotonic() - begun)

    async def during(self, command: Sequence[str]) -> dict[str, Any]:
        """Run a command, and return what everybody noticed meanwhile and until everything had come."""
        async with self.traffic():
            await self.calm()
            streams = self.account.counts["streams"]
            self.waited = [0.0] * self.size.publishers
            for one in self.watched:
                one.longest = 0.0
            begun = time.monotonic()
            running = await asyncio.create_subprocess_exec(*command)
            code = await running.wait()
            seconds = time.monotonic() - begun
        for one in self.watched:
            one.close(self.ledger)
        counts = self.account.counts
        return {
            "code": code,
            "seconds": round(seconds, 1),
            "events": counts["accepted"],
            "delivered": counts["delivered"],
            "lost": counts["silent holes"] + counts["lost and told"],
            "doubled": counts["doubled"],
            "disordered": counts["disordered"],
            "gaps": counts["gaps told"],
            "reconnected": counts["streams"] - streams,
            "repeated": sum(times for what, times in counts.items() if repeated(what)),
            "publishers": spread(self.waited),
            "subscribers": spread([one.longest for one in self.watched]),
            "wrong": self.account.examples,
        }


def repeated(what: str) -> bool:
    """Whether a count of the oracle is of publishes that had to be sent again."""
    return what.startswith("publishes") and what not in ("publishes answered 202", "publishes never settled")


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Return percentiles over clients, and how many these are."""
    ordered = sorted(seconds)

    def at(percent: int) -> float:
        return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)

    return {"count": len(ordered), "p50": at(50), "p99": at(99), "longest": at(100)}


def good(found: dict[str, Any]) -> bool:
    """Whether every event came once and in order, and no gap was told."""
    return found["events"] > 0 and not any(found[one] for one in ("wrong", "lost", "doubled", "disordered", "gaps"))


def main() -> int:
    """Run by hand, or for one fault of the scenario `swarm` of Molecule."""
    url, _, *command = sys.argv[1:]
    door = urllib.parse.urlsplit(url)
    watch = Watch(door.hostname or "", door.port or 80, random.SystemRandom().randrange(2**32))
    found = asyncio.run(watch.during(command))
    sys.stdout.write(f"{MARK}{json.dumps(found)}\n")
    return found["code"] or int(not good(found))


if __name__ == "__main__":
    sys.exit(main())
