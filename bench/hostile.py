"""Attack a deployed stack from one address, while honest clients go on, and tell whether they notice.

    .venv/bin/python bench/hostile.py [--stack NAME] [--attacks history,streams,...] [--json FILE]

The honest clients are those of soak.py: subscribers and five publishers, at the host's own address. The attacker is a
neighbour of the host that this makes (a network namespace) and has one ordinary key: see attacks.py. Run it on the host
of the stack, as root. Calm comes before the first attack and after each, so that each attack has a calm of the same
minute on both sides. For each attack the table shows how long a delivery took, as a ratio to the calm around it; how
much processor time a request of the attacker cost the stack; and how much of its memory a replica used at most. The
exit status is 1 where a container was killed or restarted, where an honest request was refused or failed, or where
something was lost.

The stack must answer its neighbours (exposure_profile: production): an attack that never connects is a failure, too.
Where the stack asks for credentials, HONEST_TOKEN holds the key of the honest clients, for `soak.*`, and ATTACKER_TOKEN
the one of the attacker, for `attack.*`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any, TypedDict

import uvloop

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.plugins.module_utils.host import machine, neighbour  # noqa: E402
from attacks import ATTACKS  # noqa: E402
from soak import Phase, Record, Soak, Stack, columns, progress  # noqa: E402

ATTACK_SECONDS = 100.0  # longer than any attack takes here
LOOK_SECONDS = 0.05  # between two looks at the memory of the replicas


HEAD = ("attack", "the attacker got", "p99 ms", "calm", "ratio", "ms each", "memory", "retried", "cut", "touched")


class Suffered(TypedDict):
    """One attack. Ratios are to the calm before and after it."""

    attack: str
    answers: dict[str, int]  # what the attacker got: statuses, "none", "not connected"
    p99_ms: int | None
    calm_ms: int | None  # the p99 of the calm before and after
    p99_ratio: float | None
    seconds: float  # that the attack took
    processor_ms: float  # of all containers for each answer to the attacker, above what the calm takes
    memory: float  # the share of its limit that a replica used at most
    retried: int  # honest publishes that were not accepted at once
    reconnects: int  # honest streams that ended
    touched: list[str]  # containers that ended or were started again


class Memory:
    """The memory of a container's cgroup: cgroups(7), version 1 or 2."""

    def __init__(self, pid: int) -> None:
        lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
        path = next((path for _, kinds, path in lines if "memory" in kinds.split(",")), "")
        root, names = "/sys/fs/cgroup/memory", ("memory.usage_in_bytes", "memory.limit_in_bytes", "total_inactive_file")
        if not path:
            path = next(path for number, _, path in lines if number == "0")
            root, names = "/sys/fs/cgroup", ("memory.current", "memory.max", "inactive_file")
        self.directory = Path(f"{root}{path}")
        self.usage, limit, self.cache = names
        self.limit = int((self.directory / limit).read_text())
        self.peak = 0

    def look(self) -> None:
        """Note what it uses now, without the pages of files that the kernel can drop, as `docker stats` counts."""
        try:
            used = int((self.directory / self.usage).read_text())
            counts = dict(line.split() for line in (self.directory / "memory.stat").read_text().splitlines())
        except OSError:
            return  # the container ended
        self.peak = max(self.peak, used - int(counts[self.cache]))


class Processor:
    """The processor time that containers have taken: cgroups(7), version 1 or 2."""

    def __init__(self, pids: list[int]) -> None:
        self.files: list[tuple[Path, float]] = []  # and how many seconds its unit has
        for pid in filter(None, pids):
            lines = [line.split(":", 2) for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
            path = next((path for _, kinds, path in lines if "cpuacct" in kinds.split(",")), "")
            if path:
                self.files.append((Path(f"/sys/fs/cgroup/cpuacct{path}/cpuacct.usage"), 1e-9))
            else:
                path = next(path for number, _, path in lines if number == "0")
                self.files.append((Path(f"/sys/fs/cgroup{path}/cpu.stat"), 1e-6))

    def seconds(self) -> float:
        """Return what they have taken so far; 0 for one that has ended."""
        total = 0.0
        for file, unit in self.files:
            with contextlib.suppress(OSError):
                total += unit * int(file.read_text().split("\n", 1)[0].rpartition(" ")[2])
        return total


class Hostile(Soak):
    """Honest clients beside attacks."""

    def __init__(self, stack: Stack, options: argparse.Namespace, beside: neighbour.Neighbour) -> None:
        super().__init__(stack, options)
        self.beside = beside
        self.suffered: list[Suffered] = []
        self.answers: dict[str, int] = {}
        running: list[Any] = stack.engine.containers.list(filters=stack.mine)
        self.processor = Processor([stack.pid(one.name) for one in running])
        self.took = 0.0  # the last attack, in seconds
        self.calm_share = 0.0  # of a processor, that the stack takes without an attack

    async def _faults(self) -> None:
        await self._calm()
        for name in self.options.attacks:
            await self._suffer_attack(name)
            await self._calm()
            if self.options.calm:
                self._compare(*self.phases[-3:])
            progress(json.dumps(self.suffered[-1]))

    async def _calm(self) -> None:
        if not self.options.calm:
            return
        begun, before = time.monotonic(), self.processor.seconds()
        await self._suffer("calm", "", lambda _: asyncio.sleep(self.options.calm))
        self.calm_share = (self.processor.seconds() - before) / (time.monotonic() - begun)

    async def _suffer_attack(self, name: str) -> None:
        before = self._started()
        memories = [Memory(self.stack.pid(one.name)) for one in self.stack.of("app")]
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(LOOK_SECONDS):
                for one in memories:
                    one.look()

        watching = asyncio.create_task(asyncio.to_thread(watch))
        begun, used = time.monotonic(), self.processor.seconds()
        try:
            await self._suffer(name, "", lambda _: self._attack(name))
        finally:
            ended.set()
            await watching
        used = self.processor.seconds() - used - self.calm_share * (time.monotonic() - begun)
        phase, after = self.phase, self._started()
        self.suffered.append(
            {
                "attack": name,
                "answers": self.answers,
                "p99_ms": phase.percentile(0.99),
                "calm_ms": None,
                "p99_ratio": None,
                "seconds": round(self.took, 1),
                "processor_ms": round(1000 * max(0.0, used) / max(1, sum(self.answers.values())), 1),
                "memory": round(max(one.peak / one.limit for one in memories), 2),
                "retried": phase.retried,
                "reconnects": phase.reconnects,
                "touched": sorted(one for one in before | after if before.get(one) != after.get(one)),
            }
        )
        met = set(self.answers) - {"not connected"}
        for kind, what in (
            ("an attack never reached the stack", "" if met else "every connection was refused"),
            ("a container was touched", self.suffered[-1]["touched"]),
            ("an honest publish was not accepted at once", phase.retried),
            ("an honest stream ended", phase.reconnects),
        ):
            if what:
                self.verdict.add(kind, f"{name}: {what}")

    def _compare(self, before: Phase, attack: Phase, after: Phase) -> None:
        """Compare an attack with the calm before it and after it."""
        suffered, p99, calm = self.suffered[-1], attack.percentile(0.99), Phase("calm", "")
        calm.latency = before.latency + after.latency
        suffered["calm_ms"] = calm_p99 = calm.percentile(0.99)
        if p99 is not None and calm_p99 is not None:
            ratio = suffered["p99_ratio"] = round(p99 / max(calm_p99, 1), 2)
            if self.options.ratio and ratio > self.options.ratio:
                self.verdict.add("honest deliveries were too slow", f"{attack.fault}: {ratio} times the calm")

    def _started(self) -> dict[str, str]:
        """Return when each container of the stack was started."""
        found: list[Any] = self.stack.engine.containers.list(all=True, filters=self.stack.mine)
        return {one.name: one.attrs["State"]["StartedAt"] + one.attrs["State"]["FinishedAt"] for one in found}

    async def _attack(self, name: str) -> None:
        """Run the attack within the neighbour."""
        begun = time.monotonic()
        script = Path(__file__).with_name("attacks.py")
        run = await asyncio.create_subprocess_exec(
            *("nsenter", "--net", f"--target={self.beside.pid}"),
            *("nice", sys.executable, str(script), name, self.beside.host[0], str(self.port)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(ATTACK_SECONDS):
                output, _ = await run.communicate()
        except TimeoutError:
            run.kill()
            raise
        self.answers = dict(Counter(json.loads(output)))
        self.took = time.monotonic() - begun


def table(suffered: list[Suffered]) -> str:
    """Write the attacks as a table for people."""
    rows: list[tuple[str, ...]] = [HEAD]
    for one in suffered:
        got = ", ".join(f"{count} x {status}" for status, count in sorted(one["answers"].items()))
        times = (one["p99_ms"], one["calm_ms"], one["p99_ratio"], one["processor_ms"])
        figures = (*times, f"{one['memory']:.0%}", one["retried"], one["reconnects"])
        rows.append((one["attack"], got, *map(str, figures), ", ".join(one["touched"]) or "-"))
    return columns(rows)


def chosen(text: str) -> list[str]:
    """Parse --attacks."""
    names = text.split(",")
    if unknown := [one for one in names if one not in ATTACKS]:
        raise argparse.ArgumentTypeError(f"unknown attack {', '.join(unknown)}: expected some of {', '.join(ATTACKS)}")
    return names


def main() -> int:
    """Run, report, and return 1 where an honest client noticed more than a delay."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stack", default="sse", help="the stack_name of the stack (default: sse)")
    parser.add_argument("--subscribers", type=int, default=200, help="honest subscribers (default: 200)")
    parser.add_argument("--rate", type=float, default=20, help="honest events a second (default: 20)")
    parser.add_argument(
        "--attacks", type=chosen, default=list(ATTACKS), help=f"some of {','.join(ATTACKS)} (default: all)"
    )
    parser.add_argument(
        "--calm", type=float, default=6, help="seconds without an attack, before the first and after each (default: 6)"
    )
    parser.add_argument("--ratio", type=float, help="fail where a p99 is more than so many times that of the calm")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything to this file")
    options = parser.parse_args()
    options.token = os.environ.get("HONEST_TOKEN", "")
    taken = [one["destination"] for one in machine.observe()["routes"] if one["destination"] != "0.0.0.0/0"]
    with neighbour.beside(taken) as beside:
        hostile = Hostile(Stack(options.stack), options, beside)
        uvloop.run(hostile.run())
    record: Record = hostile.record()
    if options.json:
        options.json.write_text(json.dumps({**record, "attacks": hostile.suffered}, indent=1))
    print(table(hostile.suffered))
    for example in record["examples"]:
        print(f"VIOLATED  {example}")
    return 1 if record["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
