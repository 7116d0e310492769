"""./sse verify passes on a stack that works, and names what is broken on one that does not."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually

Damage = Callable[[Stack], AbstractContextManager[None]]


def rule(*arguments: str) -> Iterator[None]:
    """An iptables rule for a while; arguments begin with table and chain."""
    table, chain, *rest = arguments
    subprocess.run(["iptables", "-w", "-t", table, "-I", chain, *rest], check=True)
    try:
        yield
    finally:
        subprocess.run(["iptables", "-w", "-t", table, "-D", chain, *rest], check=True)


@contextmanager
def paused_redis(stack: Stack) -> Iterator[None]:
    stack.container("redis-master").pause()
    try:
        yield
    finally:
        stack.container("redis-master").unpause()


@contextmanager
def refused_between(stack: Stack) -> Iterator[None]:
    pair = ("-s", f"{stack.prefix}.21", "-d", f"{stack.prefix}.11", "-p", "tcp", "--dport", "6379")
    yield from rule("filter", "DOCKER-USER", *pair, "-j", "REJECT")


@contextmanager
def lost_alias(stack: Stack) -> Iterator[None]:
    """Redis keeps its host name, which the engine always answers for, and loses its further alias."""
    network = stack.engine.networks.get("it-network")
    address = f"{stack.prefix}.11"
    network.disconnect("it-redis-master")
    network.connect("it-redis-master", ipv4_address=address)
    try:
        yield
    finally:
        network.disconnect("it-redis-master")
        network.connect("it-redis-master", ipv4_address=address, aliases=["redis-master", "redis"])


@contextmanager
def stray_forward(stack: Stack) -> Iterator[None]:
    to = (
        "-p",
        "tcp",
        "-d",
        "127.0.0.1",
        "--dport",
        "8000",
        "-j",
        "DNAT",
        "--to-destination",
        f"{stack.prefix}.21:8000",
    )
    yield from rule("nat", "OUTPUT", *to)


@contextmanager
def blocked_port(stack: Stack) -> Iterator[None]:
    yield from rule("raw", "OUTPUT", "-p", "tcp", "-d", "127.0.0.1", "--dport", str(stack.kafka_ports[1]), "-j", "DROP")


@contextmanager
def stranger(stack: Stack) -> Iterator[None]:
    labels = {"sse.platform.stack": "it", "sse.platform.project": "it-platform"}
    image = stack.container("redis-master").attrs["Image"]
    made = stack.engine.containers.create(image, ["true"], name="it-stranger", labels=labels)
    try:
        yield
    finally:
        made.remove()


@contextmanager
def deaf_subscriber(stack: Stack) -> Iterator[None]:
    """A replica that no longer hears of events: its packets from Kafka are dropped."""
    yield from rule("filter", "DOCKER-USER", "-s", f"{stack.prefix}.12", "-d", f"{stack.prefix}.23", "-j", "DROP")


def test_it_passes_knowing_only_the_name_of_the_stack(stack: Stack) -> None:
    run = stack.verify()
    assert run.code == 0, run.output
    counts = {what: int(count) for count, what in re.findall(r"(\d+) ([a-z' A-Z]+)", run.output.split("verified: ")[1])}
    assert counts["containers running"] == counts["healthy"] == len(stack.containers())
    # Each of at least three events and the fence, at each of three replicas and at nginx.
    assert counts["deliveries of events"] >= 16
    assert counts["metric targets"] >= 8
    assert counts["published ports"] >= 7


def test_the_whole_matrix_is_measured_and_shown_and_kept(stack: Stack) -> None:
    run = stack.verify(verify_matrix=True)
    assert run.code == 0, run.output
    containers = stack.containers()
    kept = json.loads((stack.state / "matrix" / "matrix.json").read_text())
    pairs = {(one["source"], one["target"]) for one in kept["edges"]}
    assert pairs == {(one, other) for one in containers for other in containers if one != other}
    assert f"{len(kept['edges'])} of {len(kept['edges'])} connections tested: " in run.output
    # All on one network, so whatever is not needed is open, and said to be so.
    assert not set(kept["counts"]) & {"broken", "leak", "unmeasured"}
    assert f"o undeclared and open, as network_layout single allows ({kept['counts']['open']})" in (run.output)
    needed = {(one["source"], one["target"], one["port"]) for one in kept["edges"] if one["verdict"] == "reached"}
    assert ("it-app-1", "it-kafka", 9092) in needed
    assert ("it-nginx", "it-kafka", 9092) not in needed


def prometheus(stack: Stack, path: str) -> Any:
    return httpx.get(f"http://127.0.0.1:{stack.variables['prometheus_port']}/api/v1/{path}", timeout=5).json()["data"]


@pytest.mark.whole
def test_a_broken_edge_is_a_metric_and_an_alert(stack: Stack) -> None:
    edge = 'sse_reach_connects{source="it-app-1",target="it-redis-master",port="6379"}'

    def value() -> str:
        found = prometheus(stack, f"query?query={quote(edge)}")["result"]
        return found[0]["value"][1] if found else ""

    def alerts() -> list[str]:
        return [one["labels"]["alertname"] for one in prometheus(stack, "alerts")["alerts"] if one["state"] == "firing"]

    assert stack.verify().code == 0
    eventually(lambda: value() == "1", "the edge as a metric", 60)
    with refused_between(stack):
        assert stack.verify().code != 0
    eventually(lambda: value() == "0", "the broken edge as a metric", 60)
    eventually(lambda: "NetworkNotAsDeclared" in alerts(), "the alert", 60)
    assert stack.verify().code == 0
    eventually(lambda: "NetworkNotAsDeclared" not in alerts(), "the alert's end", 60)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (paused_redis, r"it-redis-master: does not run .*\n +evidence: paused"),
        (refused_between, r"it-app-1: could not connect to redis-master:6379 .*\n +evidence: .*refused"),
        (lost_alias, r"it-redis-exporter: could not resolve redis .*\n +evidence: no such name"),
        (stray_forward, r"it-app-\d: 127\.0\.0\.1:8000 is open on the host.*\n +evidence: it answers"),
        (
            blocked_port,
            r"it-kafka: could not connect to 127\.0\.0\.1:18083 on the host: a firewall rule.*\n +evidence: .*DROP",
        ),
        (stranger, r"it-stranger: no release declares it"),
        pytest.param(
            *(deaf_subscriber, r"it-app-3: could not connect to kafka:9092 .*\n +evidence: timed out"),
            marks=pytest.mark.whole,  # until Kafka's connections are back, a minute goes by
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_broken_is_named(stack: Stack, damage: Damage, said: str) -> None:
    with damage(stack):
        run = stack.verify()
    assert run.code != 0
    assert re.search(said, run.output), run.output
    eventually(lambda: stack.verify().code == 0, "whole again", 60)
