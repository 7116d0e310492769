"""While the network fails, every acknowledged event arrives once and in order, whatever packets are lost."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from ansible_collections.sse.platform.tests.integration.traffic import Traffic

BACK_SECONDS = 60.0  # longer than the longest pause of TCP, the Kafka client and the Redis client between two tries
AWAY_SECONDS = 15.0  # a replica tries Redis twice, two seconds each time
TO_KAFKA = ("-p", "tcp", "--dport", "9092")
A_THIRD = ("-m", "statistic", "--mode", "random", "--probability", "0.3")
PACKETS = 20
TO_DNS = ("-d", "127.0.0.11", "-j", "DROP")
REPLICAS = ("app-1", "app-2", "app-3")


def iptables(container: Any, *arguments: str) -> str:
    """Change or list the rules in the network namespace of a container."""
    container.reload()
    command = ["nsenter", "-t", str(container.attrs["State"]["Pid"]), "-n", "iptables", "-w", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextlib.contextmanager
def rule(container: Any, *rest: str) -> Iterator[None]:
    """Add a rule for incoming packets, and keep it until every connection has met it."""
    iptables(container, "-I", "INPUT", *rest)
    try:
        yield
        listed = ("-L", "INPUT", "1", "-nvx")
        eventually(lambda: int(iptables(container, *listed).split()[0]) >= PACKETS, f"{rest}: packets", BACK_SECONDS)
    finally:
        iptables(container, "-D", "INPUT", *rest)


def goes_on(traffic: Traffic) -> None:
    """Wait until a subscriber has received events that are published from now on."""
    wanted = len(traffic.stored) + 20
    eventually(lambda: len(traffic.heard) >= wanted, "events go on", BACK_SECONDS)


def redis(stack: Stack) -> set[str]:
    """Return what the replicas report about Redis."""
    addresses = (f"http://{stack.prefix}.{20 + number}:8000/health/ready" for number in (1, 2, 3))
    return {httpx.get(address, timeout=5).json()["checks"]["redis"] for address in addresses}


def test_redis_leaves_the_network_and_comes_back_and_events_pass_all_the_while(stack: Stack) -> None:
    victim, network = stack.container("redis-master"), stack.engine.networks.get(f"{stack.name}-network")
    endpoint = victim.attrs["NetworkSettings"]["Networks"][network.name]
    assert redis(stack) == {"ok"}
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic:
        network.disconnect(victim)
        try:
            eventually(lambda: "ok" not in redis(stack), "every replica misses it", AWAY_SECONDS)
            goes_on(traffic)
        finally:
            network.connect(victim, aliases=endpoint["Aliases"], ipv4_address=endpoint["IPAddress"])
        eventually(lambda: redis(stack) == {"ok"}, "every replica has it again", BACK_SECONDS)
        goes_on(traffic)
    assert not traffic.broken, traffic.broken


def test_packets_to_kafka_are_lost_dropped_and_reset_with_no_dns_and_no_event_is_lost_or_doubled(stack: Stack) -> None:
    kafka = stack.container("kafka")
    with Traffic(f"http://127.0.0.1:{stack.http_port}") as traffic, contextlib.ExitStack() as rules:
        for name in REPLICAS:
            iptables(stack.container(name), "-I", "OUTPUT", *TO_DNS)
            rules.callback(iptables, stack.container(name), "-D", "OUTPUT", *TO_DNS)
        with rule(kafka, *TO_KAFKA, *A_THIRD, "-j", "DROP"):
            goes_on(traffic)
        with rule(kafka, *TO_KAFKA, "-j", "DROP"):
            pass
        goes_on(traffic)
        # Every connection ends, and opens again without DNS: a replica has the names that it needs in /etc/hosts.
        with rule(kafka, *TO_KAFKA, "-j", "REJECT", "--reject-with", "tcp-reset"):
            pass
        goes_on(traffic)
    assert not traffic.broken, traffic.broken
