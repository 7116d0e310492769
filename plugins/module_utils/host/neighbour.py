"""A machine beside this one, for as long as it is needed: a network namespace with a cable to the host, its router."""

from __future__ import annotations

import contextlib
import ipaddress
import secrets
import subprocess
import time
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import addresses

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

# The namespace lives as long as its one process, and that until its input ends: whoever made it may be killed at any
# moment, and nothing stays.
HOLDER = ("unshare", "--net", "sh", "-c", "echo; exec cat")
# Set apart for tests of networks (RFC 2544): no stack or VPN asks for addresses there while the cable hangs.
POOL = ipaddress.IPv4Network("198.18.0.0/15")
PREFIX4, PREFIX6 = 30, 64
CARRIER_SECONDS = 5.0  # the kernel tells both ends of each other from a work queue: within a second where it is busy
PAUSE_SECONDS = 0.02


class NeighbourError(Exception):
    """This host can't make one; the message says why."""


class Neighbour(NamedTuple):
    """The machine: a process in its namespace, its own addresses, and the host's on the same cable, IPv4 first."""

    pid: int
    own: list[str]
    host: list[str]


@contextlib.contextmanager
def beside(taken: Iterable[str]) -> Generator[Neighbour]:
    """Make a neighbour, by IPv4 and, where the host has it, by IPv6 (a unique local prefix, RFC 4193).

    :param taken: subnets that are somebody's
    :raises NeighbourError: where the host can't
    """
    others = [one for one in map(addresses.parse_any, taken) if one]
    four = next(
        (one for one in POOL.subnets(new_prefix=PREFIX4) if not any(one.overlaps(each) for each in others)), None
    )
    if four is None:
        raise NeighbourError(f"nothing is free of {POOL}")
    six = ipaddress.IPv6Network((0xFD << 120 | secrets.randbits(40) << 80, PREFIX6))
    with subprocess.Popen(HOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        try:
            if holder.stdout is None or not holder.stdout.readline():
                told = holder.stderr.read().decode().strip() if holder.stderr else ""
                raise NeighbourError(f"no network namespace can be made: {told}")
            near, far = f"beside-{holder.pid}", "eth0"
            inside = ("nsenter", "--net", f"--target={holder.pid}")
            ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", str(holder.pid))
            ip("link", "set", near, "up")
            ip("link", "set", far, "up", inside=inside)
            wait_for_carrier(near, far, inside)
            found = Neighbour(holder.pid, [], [])
            for network in (four, six):
                host, own = str(network[1]), str(network[2])
                try:
                    connect(network, near, far, inside)
                except NeighbourError:
                    if network is four:
                        raise
                    continue  # IPv6 is off here
                found.own.append(own)
                found.host.append(host)
            yield found
            # The kernel takes it with the namespace, but in its own time.
            ip("link", "del", near)
        finally:
            holder.kill()


def connect(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, near: str, far: str, inside: tuple[str, ...]
) -> None:
    """Give both ends of the cable an address, and the neighbour its way to everywhere."""
    host, own = (f"{network[number]}/{network.prefixlen}" for number in (1, 2))
    # Both ends are known: whether somebody else has the address need not be found out first.
    known = ("nodad",) if network.version == 6 else ()
    ip("address", "add", host, "dev", near, *known)
    ip("address", "add", own, "dev", far, *known, inside=inside)
    ip(f"-{network.version}", "route", "add", "default", "via", str(network[1]), inside=inside)


def wait_for_carrier(near: str, far: str, inside: tuple[str, ...]) -> None:
    """Wait until both ends know that they are connected: what is sent before is lost without a word."""
    until = time.monotonic() + CARRIER_SECONDS
    ends: list[tuple[str, tuple[str, ...]]] = [(near, ()), (far, inside)]
    while not all(" state UP " in ip("-o", "link", "show", name, inside=where) for name, where in ends):
        if time.monotonic() > until:
            raise NeighbourError(f"{near} has no carrier after {CARRIER_SECONDS:g} s")
        time.sleep(PAUSE_SECONDS)


def ip(*arguments: str, inside: tuple[str, ...] = ()) -> str:
    """Run iproute2's command; return what it prints."""
    run = subprocess.run([*inside, "ip", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        raise NeighbourError(f"ip {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout
