#!/usr/bin/env python3
"""Simulate how many hosts a number of subscribers needs, from the costs that were measured on one host.

    .venv/bin/python bench/scaling.py [--subscribers N ...] [--cores N] [--write-docs]

It calculates; it loads nothing. Two designs are compared: every replica reads every event, as it is now, and P groups
of replicas that read one partition of the channels each, which is not built. For each number of subscribers and each
kind of load, the smallest number of hosts is sought with which no part is busier than 70 %, the streams fit into memory
and into the network, and the simulated 99th percentile of a delivery stays below 250 ms.

The costs are medians of docs/performance.md: see `Costs`. The same seed gives the same table.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import report

DOCUMENT = Path(__file__).parent.parent / "docs" / "scaling.md"
SUBSCRIBERS = (1_000, 10_000, 100_000, 1_000_000)
FULL_SHARE = 0.7  # of a core that a part may use: the rest is for bursts, and for hosts that are away
LATE_SECONDS = 0.25  # people notice no delay below this
MOST_HOSTS = 4096
EVENTS = 600  # that one simulation publishes


@dataclass(frozen=True)
class Costs:
    """What was measured on one host, in seconds of one core and in bytes: docs/performance.md."""

    publish: float = 157e-6  # the replica that takes a single event (through Kafka, 32 at once)
    read: float = 24e-6  # a replica for a record among many of one fetch (batches of 100)
    fetch: float = 70e-6  # a replica for a fetch (94 us for a record that comes alone, less `read`)
    fetches: float = 200.0  # that a replica makes in a second at most: it rests between them
    write: float = 4.9e-6  # a replica for a write to one subscriber, with one event in it
    more: float = 0.6e-6  # each further event of the same write (1,600 events/s to 1,000 subscribers fill a core)
    pass_on: float = 8.5e-6  # NGINX for a write of a replica, among many
    sweep: float = 50e-6  # a replica for a sweep: the frame, and waking up (`users` less `batches`, a busy machine)
    wake: float = 140e-6  # NGINX for waking up for a sweep of a replica (`users`, a busy machine)
    broker: float = 49e-6  # Kafka for a single record, on the disk before it is answered
    served: float = 30e-6  # Kafka for each fetch of a replica
    event_bytes: float = 260.0  # 190 of JSON in a frame with its id and name, and the headers of TCP
    stream_bytes: float = 20_000.0  # NGINX and the replica together


@dataclass(frozen=True)
class Host:
    """A host that serves streams. One core is for the kernel, the engine and the exporters."""

    cores: int = 8
    memory: float = 32e9
    network: float = 10e9 / 8  # bytes a second
    replicas: int = 4

    @property
    def proxy_cores(self) -> int:
        """The cores that are left for NGINX."""
        return max(1, self.cores - self.replicas - 1)


@dataclass(frozen=True)
class Load:
    """A kind of load: `room` subscribers read the channel of an event; 0 means all of them."""

    name: str
    each: float  # events a second that one subscriber receives
    room: int

    def audience(self, subscribers: int) -> int:
        """Return how many subscribers one event has."""
        return min(self.room, subscribers) if self.room else subscribers

    def rate(self, subscribers: int) -> float:
        """Return how many events a second are published."""
        return self.each * subscribers / self.audience(subscribers)


LOADS = (
    Load("notifications: one each 10 minutes", 1 / 600, 1),
    Load("rooms of 100: one event each 10 s", 1 / 10, 100),
    Load("all read one channel: one event a second", 1.0, 0),
    Load("all read one channel: 20 events a second", 20.0, 0),
    Load("busy notifications: one each 30 s", 1 / 30, 1),
)


@dataclass(frozen=True)
class Found:
    """What a number of hosts does with a load: shares of their limits (1 is the limit), and seconds."""

    hosts: int
    shares: dict[str, float]
    p99: float

    @property
    def limit(self) -> str:
        """Name what would end first."""
        return max(self.shares, key=lambda part: self.shares[part])

    @property
    def good(self) -> bool:
        """Tell whether the hosts carry it."""
        return max(self.shares.values()) <= 1 and self.p99 <= LATE_SECONDS


def shares(load: Load, subscribers: int, hosts: int, groups: int, host: Host, costs: Costs) -> dict[str, float]:
    """Return how much of its limit each part uses; a group has its share of the hosts, streams and events."""
    audience, rate = load.audience(subscribers), load.rate(subscribers)
    replicas = hosts * host.replicas
    read_rate = rate / groups  # that each replica reads
    fetches = min(read_rate, costs.fetches)
    batch = max(1.0, read_rate / costs.fetches) if not load.room else 1.0  # events for one subscriber in one write
    writes = rate * audience / replicas / batch
    sweeps = min(rate / batch, writes)  # an event for fewer subscribers than there are replicas wakes only some
    written = sweeps * costs.sweep + writes * (costs.write + (batch - 1) * costs.more)
    replica = read_rate * costs.read + fetches * costs.fetch + rate * costs.publish / replicas + written
    proxy = host.replicas * (sweeps * costs.wake + writes * costs.pass_on) / host.proxy_cores
    broker = rate * costs.broker / groups + fetches * costs.served * replicas / groups
    sent = rate * audience * costs.event_bytes / hosts
    return {
        "the replicas": replica / FULL_SHARE,
        "NGINX": proxy / FULL_SHARE,
        "Kafka": broker / FULL_SHARE / host.cores,
        "memory": subscribers * costs.stream_bytes / hosts / (host.memory * FULL_SHARE),
        "the network of a host": sent / (host.network * FULL_SHARE),
    }


def latency(load: Load, subscribers: int, hosts: int, groups: int, host: Host, costs: Costs, seed: int = 1) -> float:
    """Simulate one host of one group, and return the 99th percentile of a delivery, in seconds.

    Events come at random (Poisson). A replica that is free takes all that wait in one sweep; a write then carries all
    events of the sweep that its subscriber reads. NGINX passes on while the sweep goes on. Waiting is what is sought,
    so the constant part (Kafka's disk, some ms) is left out.
    """
    chance = random.Random(seed)
    rate, audience = load.rate(subscribers) / groups, load.audience(subscribers)
    local = audience / (hosts / groups * host.replicas)  # subscribers of an event on one replica, in the mean
    now, arrivals = 0.0, list[float]()
    for _ in range(EVENTS):
        now += chance.expovariate(rate)
        arrivals.append(now)
    free, proxy_free, seen, at = 0.0, 0.0, list[float](), 0
    while at < len(arrivals):
        begun = max(free, arrivals[at])
        end = at + 1
        while end < len(arrivals) and arrivals[end] <= begun:
            end += 1
        events = arrivals[at:end]
        # Fewer than one subscriber of an event is a chance to have it here at all.
        here = [one for one in events if chance.random() < local]
        readers = max(1.0, local) * (1 if not load.room else len(here)) if here else 0.0
        together = len(here) if not load.room else 1
        work = len(events) * costs.read + costs.fetch + readers * (costs.write + (together - 1) * costs.more)
        free = begun + work + (costs.sweep if here else 0.0)
        if here:
            passing = host.replicas * (costs.wake + readers * costs.pass_on) / host.proxy_cores
            started = max(proxy_free, begun)
            proxy_free = max(free, started + passing)
            # Readers are reached one after the other: some of them stand for all.
            seen += [started + part / 10 * (proxy_free - started) - one for one in here for part in range(1, 11)]
        at = end
    seen.sort()
    return seen[math.ceil(0.99 * len(seen)) - 1] if seen else 0.0


def look(load: Load, subscribers: int, hosts: int, groups: int, host: Host, costs: Costs) -> Found:
    """Judge a number of hosts."""
    used = shares(load, subscribers, hosts, groups, host, costs)
    busy = max(used.values()) > 1
    return Found(hosts, used, math.inf if busy else latency(load, subscribers, hosts, groups, host, costs))


def fewest(load: Load, subscribers: int, groups: int, host: Host, costs: Costs) -> Found:
    """Return the smallest number of hosts that carries the load, or the last that was tried."""
    low, high = 0, groups
    while not (found := look(load, subscribers, high, groups, host, costs)).good:
        if high >= MOST_HOSTS:
            return found
        low, high = high, min(2 * high, MOST_HOSTS)
    while high - low > groups:
        middle = (low + high) // 2 // groups * groups
        tried = look(load, subscribers, middle, groups, host, costs)
        if tried.good:
            high, found = middle, tried
        else:
            low = middle
    return found


def best_groups(load: Load, subscribers: int, host: Host, costs: Costs, now: Found) -> tuple[int, Found]:
    """Return the number of partitions with the fewest hosts. A channel is in one partition: one channel needs one.

    :param now: what one group does
    """
    more = (2, 4, 8, 16, 32, 64) if load.room else ()
    tried = [(1, now), *((groups, fewest(load, subscribers, groups, host, costs)) for groups in more)]
    fitting = [(groups, found) for groups, found in tried if found.good] or tried[:1]
    return min(fitting, key=lambda one: (one[1].hosts, one[0]))


def told(found: Found) -> str:
    """Write what a number of hosts means."""
    if not found.good:
        return f"none: {found.limit}"
    return f"{found.hosts:,} ({found.limit} at {max(found.shares.values()) * FULL_SHARE:.0%})"


def table(subscribers: Sequence[int], host: Host, costs: Costs) -> str:
    """Write the table of both designs."""
    rows: list[list[str]] = []
    for load in LOADS:
        for count in subscribers:
            now = fewest(load, count, 1, host, costs)
            groups, then = best_groups(load, count, host, costs, now)
            p99 = f"{1000 * now.p99:.1f} ms" if now.good else "-"
            other = "the same" if groups == 1 else f"{told(then)}, {groups} partitions"
            rows.append([load.name, f"{count:,}", f"{load.rate(count):,.0f}", told(now), p99, other])
    head = ["load", "subscribers", "events/s", "hosts, and what is nearest its limit", "p99 of waiting"]
    return report.grid([*head, "hosts if channels were partitioned"], rows)


def main() -> None:
    """Print the table, or put it into docs/scaling.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", type=int, nargs="+", default=SUBSCRIBERS, metavar="N", help="streams in all")
    parser.add_argument("--cores", type=int, default=Host.cores, help="cores of a host (default: 8; half run replicas)")
    parser.add_argument("--write-docs", action="store_true", help="put the table of the defaults into docs/scaling.md")
    options = parser.parse_args()
    if min(options.subscribers) < 1 or options.cores < 2:
        parser.error("expected at least one subscriber, and hosts of two cores or more")
    host = Host(cores=options.cores, replicas=max(1, options.cores // 2))
    found = table(options.subscribers, host, Costs())
    print(found)
    if options.write_docs:
        DOCUMENT.write_text(report.put("scaling", {"hosts": table(SUBSCRIBERS, Host(), Costs())}, DOCUMENT.read_text()))


if __name__ == "__main__":
    main()
