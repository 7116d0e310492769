"""Measure how long backup, restore and drill take by the size of the data; medians, as a table and JSON.

    .venv/bin/python bench/backup.py [--sizes 0.2 1.0] [--rounds N] [--json FILE]

It deploys two stacks of its own (``bench-backup``, ``bench-restored``) and removes them. The data are events of 16 KiB
that do not compress, written to Kafka itself, as another producer would. What a size adds tells the time for each GB;
the rest is for starting containers and checking them.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import importlib
import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.tests.integration.stack import Run, Stack  # noqa: E402

GB = 10**9
EVENT = 16 * 1024  # bytes of one event
CHANNELS = 20
TOPIC = "sse-events"
STEPS = ("backup", "drill", "restore")
_aiokafka: Any = importlib.import_module("aiokafka")  # without types


async def fill(stack: Stack, size: int) -> int:
    """Write events of so many bytes in all to Kafka; return how many."""
    producer = _aiokafka.AIOKafkaProducer(
        bootstrap_servers=f"127.0.0.1:{stack.kafka_ports[0]}",
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="admin",
        sasl_plain_password=(stack.state / "secrets/kafka_admin_password").read_text(),
        acks="all",
        max_batch_size=1 << 18,
        linger_ms=20,
    )
    await producer.start()
    try:
        count = size // EVENT
        waiting: list[Any] = []
        for number in range(count):
            text = base64.b64encode(os.urandom(EVENT * 3 // 4))
            waiting.append(await producer.send(TOPIC, text, f"bench.{number % CHANNELS}".encode(), partition=0))
            if len(waiting) == 200:
                await asyncio.gather(*waiting)
                waiting.clear()
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return count


def expect(run: Run) -> Run:
    """Return a run that worked; end with what it said otherwise."""
    if run.code:
        sys.exit(run.output)
    return run


def timed(what: str, work: Callable[[], object]) -> float:
    """Time some work, and show it."""
    begun = monotonic()
    work()
    seconds = round(monotonic() - begun, 2)
    print(f"  {what}: {seconds:.1f} s", file=sys.stderr)
    return seconds


def measure(sizes: list[float], rounds: int) -> dict[str, Any]:
    """Fill a stack step by step, and measure at each size."""
    stack = Stack("bench-backup", "10.70.0.0/24", 19480, app_replicas=1)
    restored = Stack("bench-restored", "10.71.0.0/24", 19580, app_replicas=1)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory:
        try:
            stack.up()
            held = 0
            for size in sizes:
                asyncio.run(fill(stack, int(size * GB) - held))
                held = int(size * GB)
                found[str(size)] = at_size(stack, restored, Path(directory), size, rounds)
        finally:
            stack.play("drill", asked_drill_cleanup=True)  # of a drill that was interrupted
            restored.destroy()
            stack.destroy()
    return found


def at_size(stack: Stack, restored: Stack, directory: Path, size: float, rounds: int) -> dict[str, Any]:
    """Measure each step with the data that are there."""
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    path = directory / f"{size}.backup"
    for __ in range(rounds):
        path.unlink(missing_ok=True)
        steps: dict[str, Callable[[], Run]] = {
            "backup": lambda: stack.play("backup", asked_file=str(path)),
            "drill": lambda: stack.play("drill", asked_file=str(path)),
            "restore": lambda: restored.play("restore", asked_file=str(path)),
        }
        for step, work in steps.items():
            seconds[step].append(timed(f"{size} GB, {step}", lambda work=work: expect(work())))
        restored.destroy()
    data = sum(one.stat().st_size for one in (stack.state / "data").rglob("*") if one.is_file())
    return {
        "seconds": seconds,
        "medians": {step: statistics.median(all_) for step, all_ in seconds.items()},
        "data_bytes": data,
        "file_bytes": path.stat().st_size,
    }


def table(found: dict[str, Any]) -> str:
    """Return the figures as a table of Markdown."""
    lines = ["| data | backup | restore | drill | file |", "|---|---|---|---|---|"]
    for one in found.values():
        median = one["medians"]
        lines.append(
            f"| {one['data_bytes'] / GB:.2f} GB | {median['backup']:.0f} s | {median['restore']:.0f} s "
            f"| {median['drill']:.0f} s | {one['file_bytes'] / GB:.2f} GB |"
        )
    first, last = (list(found.values())[at] for at in (0, -1))
    more = (last["data_bytes"] - first["data_bytes"]) / GB
    if more > 0:
        each = {step: (last["medians"][step] - first["medians"][step]) / more for step in STEPS}
        lines.append(f"| each GB more | {each['backup']:.0f} s | {each['restore']:.0f} s | {each['drill']:.0f} s | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.2, 1.0], metavar="GB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    os.environ.setdefault("SSE_BACKUP_PASSPHRASE", "for the benchmark alone")
    found = measure(options.sizes, options.rounds)
    print(table(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
