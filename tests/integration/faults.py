"""Five faults of a stack, injected for real, each with the alert that tells it."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually

DISK_BYTES = 8 * 2**20
FILLED = 0.985
ROOM_SECONDS = 90.0


@contextlib.contextmanager
def stopped(stack: Stack, short: str) -> Iterator[None]:
    """A container that was stopped."""
    container = stack.container(short)
    container.stop(timeout=1)
    try:
        yield
    finally:
        container.start()


@contextlib.contextmanager
def paused(stack: Stack, short: str) -> Iterator[None]:
    """A container that is frozen: it answers nobody, and nobody is told that it is gone."""
    container = stack.container(short)
    container.pause()
    try:
        yield
    finally:
        container.unpause()


@contextlib.contextmanager
def cut(stack: Stack) -> Iterator[None]:
    """The connection from the exporter of NGINX to NGINX; the matrix is measured then, and when it is mended."""
    pid = stack.container("nginx-exporter").attrs["State"]["Pid"]
    rule = ["OUTPUT", "-p", "tcp", "--dport", "8080", "-j", "REJECT"]
    inside = ["nsenter", "-t", str(pid), "-n", "iptables", "-w"]
    subprocess.run([*inside, "-A", *rule], check=True)
    try:
        stack.verify()
        yield
    finally:
        subprocess.run([*inside, "-D", *rule], check=True)
        stack.verify()


@contextlib.contextmanager
def nearly_full(stack: Stack) -> Iterator[None]:
    """A small disk below the state directory, which the exporter of the host sees from its next start on."""
    place, exporter = stack.state / "matrix", stack.container("node-exporter")
    kept = {path.name: path.read_bytes() for path in place.iterdir() if path.is_file()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES},mode=0755", "small", place], check=True)
    try:
        for name, content in kept.items():
            (place / name).write_bytes(content)
        exporter.restart(timeout=1)
        (place / "filling").write_bytes(bytes(int(DISK_BYTES * FILLED)))
        yield
        (place / "filling").unlink()
        eventually(lambda: not told_of(stack, "DiskFull"), "the disk has room again", ROOM_SECONDS)
    finally:
        exporter.stop(timeout=1)
        subprocess.run(["umount", place], check=True)
        exporter.start()


def told_of(stack: Stack, name: str) -> bool:
    """Tell whether an alert fires, as Prometheus has it."""
    url = f"http://127.0.0.1:{stack.variables['prometheus_port']}/api/v1/alerts"
    alerts = httpx.get(url, timeout=10).json()["data"]["alerts"]
    return any(one["labels"]["alertname"] == name and one["state"] == "firing" for one in alerts)


class Fault(NamedTuple):
    """What is broken, and the alert that tells it."""

    alert: str
    labels: dict[str, str]
    broken: Callable[[Stack], contextlib.AbstractContextManager[None]]


# In this order: the matrix of connections can only be measured while the rest works.
FAULTS = {
    "a connection is cut": Fault("NetworkNotAsDeclared", {}, cut),
    "a small disk is nearly full": Fault("DiskFull", {}, nearly_full),
    "a replica is down": Fault("TargetDown", {"instance": "app-2:8000"}, lambda stack: stopped(stack, "app-2")),
    "Redis is down": Fault("RedisDown", {}, lambda stack: stopped(stack, "redis-master")),
    "Kafka is paused": Fault("KafkaUnreachable", {}, lambda stack: paused(stack, "kafka")),
}
