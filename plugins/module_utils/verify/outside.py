# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What answers to other machines: every port of the host and of the stack's containers, compared with the releases."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import resource
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host import tcp
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import way_to_stop
from ansible_collections.sse.platform.plugins.module_utils.host.meeting import SWARM_PORTS
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback, url_host
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import published_ports
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host.tcp import Target
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Release

Claim = tuple[str, int, str]  # an address, a port, and who is there

# A closed port answers by a reset at once, and leaves no entry in the connection tracking of the host. Only where a
# firewall drops packets does a batch take all of its time.
AT_ONCE = 2048
SPARE_FILES = 64
BESIDE_SECONDS = 0.5  # within one host a connection takes microseconds
AFAR_SECONDS = 2.0  # over a network: time for one lost packet to be sent again (RFC 6298: after one second)
ALL_PORTS = "1-65535"
# What the host may be managed through, with the service that systemd starts for a socket of its own.
SSH = re.compile(r"(sshd|dropbear|sshd?\.socket|dropbear\.socket) |.* starts (sshd?|dropbear)(@\S*)?\.service ")


# What a Swarm's hosts need of each other over TCP.
SWARM = frozenset(one.number for one in SWARM_PORTS if one.protocol == "tcp")


class Seen(NamedTuple):
    """One container of the host: its addresses, and the ports that it publishes."""

    name: str
    addresses: list[str]
    published: Iterable[Publication]


class Known(TypedDict):
    """What an answer is judged by. It is plain data, for whoever looks from another machine."""

    outer: list[str]  # addresses of the host where others reach it
    inner: list[str]  # addresses of the host on bridges of the engine
    inside: dict[str, str]  # container of the stack by address
    listens: dict[str, list[int]]  # declared ports by container
    declared: list[Claim]  # published ports that others may reach
    allow_from: list[str]
    published: list[Claim]  # by all containers of the host
    listeners: list[Claim]  # processes of the host
    client: str  # where the SSH connection comes from
    allowed: list[int]  # ports that something else on the host may serve to others
    nodes: list[str]  # addresses of the hosts of its Swarm, which reach each other's ports of it; none on one host


class Answer(NamedTuple):
    """Somebody who answers, and the reason why that is right."""

    address: str
    port: int
    who: str
    right: str  # empty where there is none


class View(NamedTuple):
    """What one place sees."""

    source: str
    tried: int
    seconds: float
    answers: list[Answer]
    findings: list[Finding]

    @property
    def lines(self) -> list[str]:
        """The view for people."""
        width = max((len(f"{one.address} {one.port}") for one in self.answers), default=0)
        found = [f"from {self.source}: {self.tried} ports tried in {self.seconds:.1f} s, {len(self.answers)} answer"]
        for one in self.answers:
            found.append(f"  {one.address} {one.port}".ljust(width + 4) + f"{one.who}: {one.right or 'NOT DECLARED'}")
        return found


# --- which ports


def ports_of(text: str) -> list[int]:
    """Read ports and ranges: ``80,443,8000-9000``.

    :raises ValueError: for a part that is neither, naming it
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            ends = (int(first), int(last if dash else first))
        except ValueError:
            ends = (0, 0)
        if not 1 <= ends[0] <= ends[1] <= 65535:
            raise ValueError(f"'{part}' is no port: expected numbers and ranges, such as 80,443,8000-9000")
        found.update(range(ends[0], ends[1] + 1))
    return sorted(found)


def knowledge(host: HostFacts, releases: Sequence[Release], containers: Sequence[Seen], allowed: list[int]) -> Known:
    """Gather what an answer is judged by."""
    bridges = {one["device"] for one in host["networks"]}
    addresses = [(one["name"], each.partition("/")[0]) for one in host["interfaces"] for each in one["addresses"]]
    own = dict.fromkeys(one for one in addresses if one[0] != "lo")
    ours = connections.containers_of(releases)
    ports = [(port["host_ip"], port["host_port"], name) for name, one in ours.items() for port in one["ports"]]
    listeners = [one for one in host["listeners"] if one["protocol"] == "tcp"]
    return {
        "outer": [address for name, address in own if name not in bridges],
        "inner": [address for name, address in own if name in bridges],
        "inside": {address: one.name for one in containers if one.name in ours for address in one.addresses if address},
        "listens": {name: one["listens"] for name, one in ours.items()},
        "declared": [one for one in ports if not is_loopback(one[0])],
        "allow_from": sorted({one for release in releases for one in release["allow_from"]}),
        "published": [(port.host_ip, port.host_port, one.name) for one in containers for port in one.published],
        "listeners": [(one["address"], one["port"], one["process"]) for one in listeners],
        "client": host["ssh_client"],
        "allowed": allowed,
        "nodes": [],
    }


def targets(known: Known, ports: list[int], more: Iterable[str] = ()) -> list[Target]:
    """List what to try.

    At addresses where others reach the host, that is every port. At the addresses of bridges, which no other host
    routes, it is each port that something on the host could answer on. At the containers' own addresses, it is what
    they listen on.

    :param more: further addresses of the host
    """
    outer = dict.fromkeys([*known["outer"], *more])
    suspects = {port for each in known["listens"].values() for port in each}
    claims = [*known["declared"], *known["published"], *known["listeners"]]
    suspects |= {port for __, port, __ in claims}
    found = [(address, port) for address in outer for port in ports]
    found += [(address, port) for address in known["inner"] for port in sorted(suspects.intersection(ports))]
    found += [
        (address, port)
        for address, name in known["inside"].items()
        for port in sorted(set(known["listens"].get(name, ())).intersection(ports))
    ]
    return list(dict.fromkeys(found))


# --- looking


def room() -> int:
    """Allow this process the open files that a batch needs, and return how many ports may be tried at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = AT_ONCE + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return AT_ONCE if soft == resource.RLIM_INFINITY else max(1, min(AT_ONCE, soft - SPARE_FILES))


def longest(count: int, seconds: float) -> float:
    """Return how many seconds that many ports can take: as if a firewall dropped every packet."""
    return -(-count // AT_ONCE) * seconds


def look(wanted: Sequence[Target], seconds: float, told: Callable[[int, int], None] | None = None) -> set[Target]:
    """Connect to each from the network namespace of the calling thread, and return those that answer.

    :param told: called after each batch with how many were tried, and how many answer
    """
    found: set[Target] = set()
    batch = room()
    for start in range(0, len(wanted), batch):
        tried = tcp.connect_all(wanted[start : start + batch], seconds)
        found |= {target for target, attempt in tried.items() if not attempt.error}
        if told:
            told(min(start + batch, len(wanted)), len(found))
    return found


def silent(known: Known, source: str, required: Iterable[str], answering: set[Target]) -> list[Finding]:
    """Try each declared port again, with patience, at each address where it must answer.

    The queue of a busy server may have been full. And docker-proxy accepts for a dead container, and hangs up.

    :param source: the address that this machine looks from
    :param answering: gets what answers
    """
    if not admitted(known, source):
        return []
    findings: list[Finding] = []
    for address in required:
        for host_ip, port, name in known["declared"]:
            if not covers(host_ip, address):
                continue
            got = tcp.hindered((address, port), published_ports.ANSWER_SECONDS)
            if got:
                wrong = f"could not connect to {shown(address, port)} from outside"
                mend = ("./sse verify", f"# If {name} works, a firewall drops the connection.", "./sse doctor")
                findings.append(Finding("declared-port", name, wrong, got, mend))
            else:
                answering.add((address, port))
    return findings


# --- judging


def covers(host_ip: str, address: str) -> bool:
    """Tell whether a port on one address answers at another: the same one, or any where it is on all of its family."""
    one, other = ipaddress.ip_address(host_ip), ipaddress.ip_address(address)
    return one == other or (one.is_unspecified and one.version == other.version)


def admitted(known: Known, source: str) -> bool:
    """Tell whether `exposure_allow_from` lets an address in."""
    allowed = [ipaddress.ip_network(one) for one in known["allow_from"]]
    return not allowed or any(ipaddress.ip_address(source) in one for one in allowed)


def right(known: Known, source: str, address: str, port: int) -> tuple[str, str]:
    """Return who answers, and the reason why that is right; the reason is empty where there is none."""
    inside = known["inside"].get(address)
    if inside:
        return inside, ""
    declared = [name for ip, number, name in known["declared"] if number == port and covers(ip, address)]
    if declared and admitted(known, source):
        return declared[0], "declared"
    published = [name for ip, number, name in known["published"] if number == port and covers(ip, address)]
    # A socket on :: takes IPv4, too, unless its program forbids it.
    processes = [
        process for ip, number, process in known["listeners"] if number == port and (covers(ip, address) or ip == "::")
    ]
    who = (published or processes or [""])[0] or "nobody that can be seen from the host"
    if port in known["allowed"]:
        return who, "allowed by --allow"
    if source in known["nodes"] and port in SWARM:
        return who, "for the other hosts of the Swarm"
    if not published and any(SSH.match(process) for process in processes):
        return who, "how this host is managed"
    return who, ""


def judge(known: Known, source: str, answering: Iterable[Target]) -> tuple[list[Answer], list[Finding]]:
    """Compare what answers with what is declared."""
    found = sorted(answering, key=lambda one: (ipaddress.ip_address(one[0]).version, ipaddress.ip_address(one[0]), one))
    answers = [Answer(address, port, *right(known, source, address, port)) for address, port in found]
    return answers, [undeclared(known, one) for one in answers if not one.right]


def undeclared(known: Known, one: Answer) -> Finding:
    """Describe an answer for which there is no reason."""
    publishers = {name for __, __, name in known["published"]}
    if one.address in known["inside"]:
        mend = ("# The stack firewall should refuse this.", "./sse doctor")
    elif any(port == one.port for __, port, __ in known["declared"]) and known["allow_from"]:
        mend = (f"# exposure_allow_from is {', '.join(known['allow_from'])}, and not in force.", "./sse doctor")
    elif known["nodes"] and one.port in SWARM:
        mend = ("./sse up",)
    elif one.who in publishers:
        mend = (f"# Publish it on loopback (-p 127.0.0.1:{one.port}:...), or allow it with --allow {one.port}.",)
    elif (stop := way_to_stop(one.who)).startswith("systemctl"):
        mend = (f"{stop}  # or allow it with --allow {one.port}",)
    else:
        mend = (f"# Stop it, bind it to 127.0.0.1, or allow it with --allow {one.port}.",)
    wrong = f"{shown(one.address, one.port)} is open to others, and nothing declares it"
    return Finding("open-port", one.who, wrong, "it answers", mend)


def shown(address: str, port: int) -> str:
    """Write an address with its port (RFC 3986: IPv6 in brackets)."""
    return f"{url_host(address)}:{port}"


def view(
    known: Known,
    place: tuple[str, str],
    wanted: Sequence[Target],
    required: Iterable[str],
    seconds: float,
    told: Callable[[int, int], None] | None = None,
) -> View:
    """Look from the network namespace of the calling thread, and judge what answers.

    :param place: where that is, in words, and its address as the host sees it
    :param required: addresses of the host where each declared port must answer
    :param seconds: until a port that does not answer counts as closed
    """
    begun = time.monotonic()
    answering = look(wanted, seconds, told)
    closed = silent(known, place[1], required, answering)
    answers, open_ones = judge(known, place[1], answering)
    return View(" ".join(place), len(wanted), time.monotonic() - begun, answers, [*open_ones, *closed])
