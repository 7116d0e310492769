"""What SASL and ACL of Kafka cost: processor time for a delivery and for a publish, with and without them in turn.

    .venv/bin/python bench/inner_doors.py [--pairs N] [--subscribers N] [--seconds N]

Two brokers of the platform's image run beside each other, both with the configuration that the platform makes. One
asks who its clients are and what they may do. The other one has the same listeners in plain text, and no authorizer.
Each has one replica of the service, and both replicas have one core in turn. In each pair, both deliver and take the
same events, and the next pair begins with the other one: the figures are medians of the ratios within pairs, which a
machine that slows down does not change. It needs what fanout.py needs for Kafka, ends every process by its id, and
takes some four minutes. What TLS costs at the outer door is measured by doors.py.
Nothing inside of one host speaks TLS.
"""

from __future__ import annotations

import argparse
import statistics
from typing import NamedTuple

import fanout
import peers
import report
from measurements import Flood, Window

GOAL = 1.05  # of deliveries, with all doors closed (issue 11)
RATE = 20  # events a second, to each subscriber
KINDS = {"closed": True, "open": False}


class Cost(NamedTuple):
    """Microseconds of the replica and of its broker for each delivery, and for each publish of one event."""

    delivery: dict[str, float]
    publish: dict[str, float]


def delivered(hub: peers.Hub, options: argparse.Namespace) -> dict[str, float]:
    """Deliver to many at a fixed rate."""
    found: Window = fanout.measure(
        hub,
        fanout.subscribe(options.subscribers),
        fanout.window("warm-up", RATE, 1),
        fanout.window("window", RATE, options.seconds),
    )["window"]
    if found["lost"] or found["publish_errors"] or found["streams_cut"]:
        raise SystemExit(f"a window does not count, because not all came: {found}")
    return found["cpu_us"]


def published(hub: peers.Hub, options: argparse.Namespace) -> dict[str, float]:
    """Publish to nobody, as fast as answers come."""
    steps = (fanout.flood("warm-up", 16, 1, 1), fanout.flood("flood", 16, 1, options.seconds))
    found: Flood = fanout.measure(hub, *steps)["flood"]
    return found["cpu_us_per_event"]


def run(options: argparse.Namespace) -> list[dict[str, Cost]]:
    """Measure both kinds in each pair."""
    with peers.workplace(options.port, {}) as place:
        hubs: dict[str, peers.Hub] = {}
        for kind, asks in KINDS.items():
            broker = peers.kafka(place, asks=asks)
            hubs[kind] = peers.ours(place, core=peers.HUB_CORE, **broker.settings)
            hubs[kind].processes["broker"] = broker.pids
            hubs[kind].spin = False  # the brokers share the core of the client
        for hub in hubs.values():  # the first seconds of a JVM are spent on compiling
            fanout.measure(hub, fanout.flood("warm-up", 16, 1, 2 * options.seconds))
        pairs: list[dict[str, Cost]] = []
        for number in range(options.pairs):
            order = list(hubs) if number % 2 else list(reversed(hubs))
            # What is compared comes right after each other.
            deliveries = {kind: delivered(hubs[kind], options) for kind in order}
            publishes = {kind: published(hubs[kind], options) for kind in order}
            pairs.append({kind: Cost(deliveries[kind], publishes[kind]) for kind in order})
            print(f"  {number + 1}: {told(pairs[-1:])}", flush=True)
        return pairs


def ratios_of(pairs: list[dict[str, Cost]], name: str) -> list[float]:
    """Return what a delivery or a publish costs with closed doors, of what it costs with open ones, in each pair."""
    return [report.total(getattr(one["closed"], name)) / report.total(getattr(one["open"], name)) for one in pairs]


def told(pairs: list[dict[str, Cost]]) -> str:
    """Return the medians of both kinds, and of the ratios within pairs."""
    parts: list[str] = []
    for name in Cost._fields:
        us = {kind: [report.total(getattr(pair[kind], name)) for pair in pairs] for kind in KINDS}
        ratios = ratios_of(pairs, name)
        medians = {kind: statistics.median(found) for kind, found in us.items()}
        spread = f" ({min(ratios):.3f} to {max(ratios):.3f})" if len(ratios) > 1 else ""
        split = {
            kind: ", ".join(
                f"{process} {statistics.median(getattr(pair[kind], name)[process] for pair in pairs):.2f}"
                for process in getattr(pairs[0][kind], name)
            )
            for kind in KINDS
        }
        both = " and ".join(f"{medians[kind]:.2f} us {kind} ({split[kind]})" for kind in KINDS)
        parts.append(f"{name} {both}, ratio {statistics.median(ratios):.3f}{spread}")
    return "; ".join(parts)


def main() -> None:
    """Measure, and print each pair and the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9, help="how often both are measured (default: 9)")
    parser.add_argument("--subscribers", type=int, default=500, help="streams (default: 500)")
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement (default: 4)")
    parser.add_argument("--port", type=int, default=21600, help="use ports from this one on (default: 21600)")
    options = parser.parse_args()
    try:
        pairs = run(options)
    except peers.SkippedError as error:
        raise SystemExit(str(error)) from error
    print(f"medians of {len(pairs)} pairs: {told(pairs)}")
    ratio = statistics.median(ratios_of(pairs, "delivery"))
    print(f"deliveries: {ratio:.3f} times, goal at most {GOAL}: {'met' if ratio <= GOAL else 'missed'}")


if __name__ == "__main__":
    main()
