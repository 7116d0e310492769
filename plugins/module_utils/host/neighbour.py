# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A neighbour of the host, for as long as it is needed: a network namespace with a cable (veth(4)) to the host."""

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

# The namespace exists as long as its only process, which ends with its input: nothing stays where this run is killed.
HOLDER = ("unshare", "--net", "sh", "-c", "echo; exec cat")
# Reserved for tests of networks (RFC 2544): no stack and no VPN uses these addresses.
POOL = ipaddress.IPv4Network("198.18.0.0/15")
PREFIX4, PREFIX6 = 30, 64
CARRIER_SECONDS = 5.0  # the kernel connects both ends in the background, within a second on a busy host
PAUSE_SECONDS = 0.02  # between two looks at the ends of the cable


class NeighbourError(Exception):
    """The host can't make a neighbour; the message says why."""


class Neighbour(NamedTuple):
    """A neighbour; its addresses are IPv4 first."""

    pid: int  # a process in its namespace
    own: list[str]  # its addresses
    host: list[str]  # the host's addresses on the same cable


@contextlib.contextmanager
def beside(taken: Iterable[str]) -> Generator[Neighbour]:
    """Make a neighbour with IPv4 and, where the host has it, IPv6 addresses (of a unique local prefix, RFC 4193).

    :param taken: subnets that are used, in CIDR notation
    :raises NeighbourError: where the host can't make one
    """
    others = [one for one in map(addresses.parse_any, taken) if one]
    four = next(
        (one for one in POOL.subnets(new_prefix=PREFIX4) if not any(one.overlaps(each) for each in others)), None
    )
    if four is None:
        raise NeighbourError(f"no subnet of {POOL} is free")
    six = ipaddress.IPv6Network((0xFD << 120 | secrets.randbits(40) << 80, PREFIX6))
    with subprocess.Popen(HOLDER, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as holder:
        try:
            if holder.stdout is None or not holder.stdout.readline():
                told = holder.stderr.read().decode().strip() if holder.stderr else ""
                raise NeighbourError(f"can't make a network namespace: {told}")
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
                    continue  # IPv6 is off on this host
                found.own.append(own)
                found.host.append(host)
            yield found
            # The kernel would remove it with the namespace, but later.
            ip("link", "del", near)
        finally:
            holder.kill()


def connect(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network, near: str, far: str, inside: tuple[str, ...]
) -> None:
    """Give both ends of the cable an address, and the neighbour a default route.

    :param near: the host's end
    :param far: the neighbour's end
    :param inside: the command that enters the neighbour's namespace
    """
    host, own = (f"{network[number]}/{network.prefixlen}" for number in (1, 2))
    # Nobody else is on the cable, so IPv6 need not look for another owner of the address first (RFC 4862).
    known = ("nodad",) if network.version == 6 else ()
    ip("address", "add", host, "dev", near, *known)
    ip("address", "add", own, "dev", far, *known, inside=inside)
    ip(f"-{network.version}", "route", "add", "default", "via", str(network[1]), inside=inside)


def wait_for_carrier(near: str, far: str, inside: tuple[str, ...]) -> None:
    """Wait until both ends are connected: earlier packets are lost, and nobody is told."""
    until = time.monotonic() + CARRIER_SECONDS
    ends: list[tuple[str, tuple[str, ...]]] = [(near, ()), (far, inside)]
    while not all(" state UP " in ip("-o", "link", "show", name, inside=where) for name, where in ends):
        if time.monotonic() > until:
            raise NeighbourError(f"{near} has no carrier after {CARRIER_SECONDS:g} s")
        time.sleep(PAUSE_SECONDS)


def ip(*arguments: str, inside: tuple[str, ...] = ()) -> str:
    """Run the command ip (ip(8)); return what it prints."""
    run = subprocess.run([*inside, "ip", *arguments], capture_output=True, text=True, check=False)
    if run.returncode:
        raise NeighbourError(f"ip {' '.join(arguments)}: {run.stderr.strip()}")
    return run.stdout
