# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""While a container is replaced or restarted, new connections to its ports wait instead of being refused.

The kernel drops their first packet, which clients send again: after one second, and then each second (Linux 6.5) or
after two and four more. So a client waits until the new container listens, and never knows. Two containers cannot have
one address and port, so the new one cannot listen before the old one is gone.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import shlex
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family

if TYPE_CHECKING:
    from collections.abc import Generator

    from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import Family
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec

TABLE = "raw"  # before the engine sends a published port on to a container
CHAINS = ("PREROUTING", "OUTPUT")  # what comes from others, and from this host
# A rule counts for so many seconds only: that of a killed run must not close a port for ever. Clients give up later.
SECONDS = 20


def targets(spec: Spec) -> list[tuple[str, int]]:
    """Return the addresses and ports at which clients reach a container's published ports, on the host and inside.

    The port of its own HTTP health check stays open at its own address: the host asks there whether it is healthy.
    """
    http = spec["healthcheck"]["http"]
    asked = http["port"] if http else 0
    inside = [*spec["networks"].values(), *spec.get("networks6", {}).values()]
    found = [(one["host_ip"], one["host_port"]) for one in spec["ports"]]
    found += [
        (address, one["container_port"])
        for one in spec["ports"]
        for address in inside
        if address and one["container_port"] != asked
    ]
    return list(dict.fromkeys(found))


def rule(address: str, port: int, name: str, until: dt.datetime) -> iptables.Rule:
    """Return the rule that drops the first packet of new connections to a port, until a moment (UTC)."""
    to = ("-m", "addrtype", "--dst-type", "LOCAL") if address in ip_family.WILDCARDS else ("-d", address)
    first = ("-p", "tcp", "-m", "tcp", "--syn", "--dport", str(port))
    ends = ("-m", "time", "--datestop", until.strftime("%Y-%m-%dT%H:%M:%S"))
    return (*to, *first, *ends, "-m", "comment", "--comment", name, *iptables.DROP)


@contextlib.contextmanager
def held(name: str, spec: Spec) -> Generator[None]:
    """Let new connections to a container wait while the block runs, where the kernel can do that.

    :param name: full name of the container
    """
    comment = f"{name} starts anew"
    until = dt.datetime.now(dt.timezone.utc) + dt.timedelta(seconds=SECONDS)
    made: list[tuple[str, str, iptables.Rule]] = []
    programs: dict[Family, str] = {}
    try:
        for address, port in targets(spec):
            family = ip_family.of(address)
            if family not in programs:
                programs[family] = iptables.program(family)
                remove_expired(programs[family], comment)
            one = rule(address, port, comment, until)
            for chain in CHAINS if programs[family] else ():
                if iptables.run(programs[family], *iptables.WAIT, "-t", TABLE, "-I", chain, *one).returncode == 0:
                    made.append((programs[family], chain, one))
        yield
    finally:
        for program, chain, one in made:
            iptables.run(program, *iptables.WAIT, "-t", TABLE, "-D", chain, *one)


def remove_expired(program: str, comment: str) -> None:
    """Remove the rules that a killed run left for a container."""
    for chain in CHAINS if program else ():
        for line in iptables.listing(program, chain, TABLE) or []:
            words = shlex.split(line)
            if comment in words:
                iptables.run(program, *iptables.WAIT, "-t", TABLE, "-D", *words[1:])
