#!/usr/bin/env python3
"""Open what a cluster publishes to nobody on this machine, until Ctrl-C: [SERVICE ...] (default: what people open)."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import containers
import inventories

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.model.release import opened_at

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, PublishedPort, Release, Spec

HERE = "127.0.0.1"
READY_SECONDS = 20.0  # until SSH is connected, and what it leads to answers
TRIES = 9  # of any port, which may be one that is about to be opened
CLOSED_SECONDS = 0.5  # after so long, a connection that is still open has reached somebody
# Each host has its containers on this bridge beside the overlay, so it reaches them, and no other machine does.
BRIDGE = "docker_gwbridge"


class Way(NamedTuple):
    """A port of a container, and where it is opened here."""

    name: str  # for people
    task: containers.Task
    address: str  # of the container on its host
    inside: int
    port: int  # of this machine
    is_http: bool

    @property
    def at(self) -> str:
        """The address here; where the host is this machine, that of the container."""
        where = f"{HERE}:{self.port}" if self.task.host.ssh else f"{self.address}:{self.inside}"
        return f"http://{where}" if self.is_http else where


def main() -> int:
    """Forward ports through SSH until somebody presses Ctrl-C, or until a connection to a host ends."""
    parser = containers.parser()
    parser.add_argument("service", nargs="*", help="services or containers, such as kafka (default: what people open)")
    options = parser.parse_args()
    if not inventories.is_cluster(options.inventory):
        parser.exit(1, f"sse: {inventories.of_clusters_alone('forward', options.inventory)}\n")
    releases = containers.applied(options)
    ways = chosen(releases, options.service, containers.of_cluster(options))
    return forward(ways)


def chosen(releases: list[Release], names: list[str], hosts: list[containers.Host]) -> list[Way]:
    """Return the ports of the services with these names; without names, of those that people open.

    :raises SystemExit: a service has no port, or nothing of it runs
    """
    specs = {name: one for release in releases for name, one in release["containers"].items()}
    read = [(urlsplit(one["url"]), one["name"]) for one in opened_at(releases)]
    urls = {url.port: name for url, name in read if url.scheme == "http"}
    wanted = names or [
        name for name, one in specs.items() for port in one["ports"] if closed(port) and port["host_port"] in urls
    ]
    if not wanted:
        raise SystemExit("sse: nothing of this stack is for people and published to nobody. Name a service.")
    first: dict[str, containers.Task] = {}
    for task in containers.tasks(hosts, list(dict.fromkeys(wanted))):
        first.setdefault(task.container.name, task)
    found: list[Way] = []
    for name, task in first.items():
        address = address_of(task)
        for port, inside in ports_of(specs, name):
            if names or port in urls:
                here = free(port, {way.port for way in found}) if task.host.ssh else inside
                found.append(Way(urls.get(port, task.container.short), task, address, inside, here, port in urls))
    return found


def closed(port: PublishedPort) -> bool:
    """Tell whether a port is for administrators: a Swarm publishes it nowhere."""
    return port["host_ip"].startswith("127.")


def ports_of(specs: dict[str, Spec], name: str) -> list[tuple[int, int]]:
    """Return the ports of a container, each as one host would publish it, and as it is inside.

    :raises SystemExit: it has none
    """
    one = specs.get(name)
    found = [(port["host_port"], port["container_port"]) for port in one["ports"]] if one else []
    found = found or ([(port, port) for port in one["listens"]] if one else [])
    if not found:
        raise SystemExit(f"sse: {name} listens on no port that the release which was applied last declares.")
    return found


def address_of(task: containers.Task) -> str:
    """Return the address of a container on the bridge that every host has for the tasks of a Swarm.

    :raises SystemExit: it has none there
    """
    listed: Json = json.loads(task.host.output("network", "inspect", BRIDGE, "--format", "{{json .Containers}}"))
    found = [one["IPv4Address"] for identity, one in listed.items() if identity.startswith(task.id)]
    if not found:
        raise SystemExit(f"sse: {task.container.short} has no address on {BRIDGE} of {task.host.name}.")
    return found[0].partition("/")[0]


def free(port: int, taken: Collection[int]) -> int:
    """Return a port of this machine that nobody has: this one, or any other where somebody has it.

    :param taken: ports that are about to be opened, such as those of other replicas
    """
    for wanted in (port, *[0] * TRIES):
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((HERE, wanted))
            if (found := trial.getsockname()[1]) not in taken:
                return found
    raise SystemExit(f"sse: no port of {HERE} is free.")


def forward(ways: list[Way]) -> int:
    """Open the ports, say where, and stay; return the exit code."""
    by_host: dict[str, list[Way]] = {}
    for way in ways:
        if way.task.host.ssh:
            by_host.setdefault(way.task.host.name, []).append(way)
    for number in (signal.SIGTERM, signal.SIGHUP) if by_host else ():
        signal.signal(number, ended_by)
    running = {name: subprocess.Popen(command(some), stdin=subprocess.DEVNULL) for name, some in by_host.items()}
    try:
        for way in ways:
            if (process := running.get(way.task.host.name)) and not ready(way, process):
                sys.stderr.write(
                    f"sse: {way.name} on {way.task.host.name} does not answer through SSH. Its sshd may forbid "
                    "forwarding (AllowTcpForwarding), or the service is not up: ./sse status\n"
                )
                return 1
        width = max(len(way.name) for way in ways)
        lines = [f"  {way.name.ljust(width)}  {way.at}  ({way.task.container.short} on {way.task.host.name})\n"
                 for way in ways]  # fmt: skip
        sys.stdout.write("".join(lines))
        sys.stdout.flush()
        if not running:
            return 0
        sys.stderr.write("sse: open until Ctrl-C. Run it again when one of them has moved to another host.\n")
        while all(one.poll() is None for one in running.values()):
            time.sleep(0.5)
        ended = ", ".join(name for name, one in running.items() if one.poll() is not None)
        sys.stderr.write(f"sse: the connection to {ended} has ended\n")
    except KeyboardInterrupt:
        return 0
    else:
        return 1
    finally:
        stop(running.values())


def ended_by(number: int, _: object) -> None:
    """End what forwards, too: SSH would go on without us, and keep the ports open."""
    raise SystemExit(128 + number)


def command(ways: list[Way]) -> list[str]:
    """Return the ssh that forwards some ports of one host, by a connection of its own that ends with it."""
    program, *rest, target = ways[0].task.host.ssh
    opened = [word for way in ways for word in ("-L", f"{HERE}:{way.port}:{way.address}:{way.inside}")]
    return [program, "-o", "ControlPath=none", *rest, "-N", "-o", "ExitOnForwardFailure=yes", *opened, target]


def ready(way: Way, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a port answers here; tell whether it does. Where nobody is behind it, SSH hangs up at once."""
    until = time.monotonic() + READY_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with contextlib.suppress(ConnectionError), socket.create_connection((HERE, way.port), 1) as trial:
            trial.settimeout(CLOSED_SECONDS)
            try:
                if trial.recv(1):
                    return True
            except TimeoutError:
                return True
        time.sleep(0.2)
    return False


def stop(running: Iterable[subprocess.Popen[bytes]]) -> None:
    """End what forwards."""
    for one in running:
        one.terminate()
        one.wait()


if __name__ == "__main__":
    sys.exit(main())
