"""What answers to others: every port of the host and of the stack's containers, beside what the releases declare."""

from __future__ import annotations

import contextlib
import ipaddress
import resource
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import tcp
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback, url_host
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import published_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host.tcp import Target
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

Json = dict[str, Any]

# A closed port answers by a reset at once, and leaves no entry in the connection tracking of the host; only where a
# firewall drops does a batch take all of its time.
AT_ONCE = 2048
SPARE_FILES = 64
BESIDE_SECONDS = 0.5  # within one host a connection takes microseconds
AFAR_SECONDS = 2.0  # over a network: time for one lost packet to be sent again (RFC 6298: after one second)
ALL_PORTS = "1-65535"
SSH = "sshd"


class Answer(NamedTuple):
    """Somebody who answers, and by what right."""

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

    :raises ValueError: naming what is not accepted
    """
    found: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        try:
            ends = (int(first), int(last if dash else first))
        except ValueError:
            ends = (0, 0)
        if not 1 <= ends[0] <= ends[1] <= 65535:
            raise ValueError(f"'{part}' is no port: accepted are numbers and ranges, such as 80,443,8000-9000")
        found.update(range(ends[0], ends[1] + 1))
    return sorted(found)


def knowledge(host: Json, releases: Sequence[Release], containers: Sequence[Json], allowed: list[int]) -> Json:
    """Gather what an answer is judged by, as plain data.

    :param host: the host fact
    :param containers: of the host, as doctor describes them
    :param allowed: ports that something else on the host serves to others, by the user's word
    """
    bridges = {one["device"] for one in host["networks"]}
    addresses = [(one["name"], each.partition("/")[0]) for one in host["interfaces"] for each in one["addresses"]]
    own = dict.fromkeys(one for one in addresses if one[0] != "lo")
    ours = connections.containers_of(releases)
    return {
        "outer": [address for name, address in own if name not in bridges],
        "inner": [address for name, address in own if name in bridges],
        "inside": {
            address: one["name"]
            for one in containers
            if one["name"] in ours
            for endpoint in one["networks"].values()
            for address in (endpoint["address"], endpoint["address6"])
            if address
        },
        "listens": {name: one["listens"] for name, one in ours.items()},
        "declared": [
            [port["host_ip"], port["host_port"], name]
            for name, one in ours.items()
            for port in one["ports"]
            if not is_loopback(port["host_ip"])
        ],
        "allow_from": sorted({one for release in releases for one in release["allow_from"]}),
        "published": [[ip, port, one["name"]] for one in containers for ip, port, _ in one["published"]],
        "listeners": [
            [one["address"], one["port"], one["process"]] for one in host["listeners"] if one["protocol"] == "tcp"
        ],
        "client": host["ssh_client"],
        "allowed": allowed,
    }


def targets(known: Json, ports: list[int], more: Iterable[str] = ()) -> list[Target]:
    """List what to try.

    Every port where others reach the host; on the bridges' addresses, which nobody else routes, what somebody on the
    host could answer on; and what containers listen on, at their own addresses.

    :param more: further addresses of the host
    """
    outer = list(dict.fromkeys([*known["outer"], *more]))
    listens = {port for each in known["listens"].values() for port in each}
    suspects = listens | {port for key in ("declared", "published", "listeners") for _, port, _ in known[key]}
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
    """Allow this process as many open files as a batch needs, and return how many may be tried at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = AT_ONCE + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return AT_ONCE if soft == resource.RLIM_INFINITY else max(1, min(AT_ONCE, soft - SPARE_FILES))


def longest(count: int, seconds: float) -> float:
    """How long that many can take, in seconds: as if a firewall dropped all of them."""
    return -(-count // AT_ONCE) * seconds


def look(wanted: Sequence[Target], seconds: float, told: Callable[[int, int], None] | None = None) -> set[Target]:
    """Connect to each from the namespace of the calling thread; return who answers.

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


def silent(known: Json, source: str, required: Iterable[str], answering: set[Target]) -> list[Finding]:
    """Ask again, with patience, for each declared port that did not answer on an address where it must.

    A busy server's queue may have been full; and docker-proxy accepts for a dead container, and hangs up.

    :param source: the address that is looked from
    """
    if not admitted(known, source):
        return []
    findings: list[Finding] = []
    for address in required:
        for host_ip, port, name in known["declared"]:
            if not covers(host_ip, address):
                continue
            got = published_ports.answers(address, port, published_ports.ANSWER_SECONDS)
            if got:
                wrong = f"could not connect to {shown(address, port)} from outside"
                mend = ("./sse verify", f"# If {name} works, a firewall drops the connection.", "./sse doctor")
                findings.append(Finding("declared-port", name, wrong, got, mend))
            else:
                answering.add((address, port))
    return findings


# --- judging


def covers(host_ip: str, address: str) -> bool:
    """Tell whether what is bound to one address answers on another: the same, or all of its family."""
    one, other = ipaddress.ip_address(host_ip), ipaddress.ip_address(address)
    return one == other or (one.is_unspecified and one.version == other.version)


def admitted(known: Json, source: str) -> bool:
    """Tell whether `exposure_allow_from` lets an address in."""
    allowed = [ipaddress.ip_network(one) for one in known["allow_from"]]
    return not allowed or any(ipaddress.ip_address(source) in one for one in allowed)


def right(known: Json, source: str, address: str, port: int) -> tuple[str, str]:
    """Tell who answers, and by what right; that is empty where there is none."""
    inside = known["inside"].get(address)
    if inside:
        return inside, ""
    declared = [name for ip, number, name in known["declared"] if number == port and covers(ip, address)]
    if declared and admitted(known, source):
        return declared[0], "declared"
    published = [name for ip, number, name in known["published"] if number == port and covers(ip, address)]
    # A socket on :: takes IPv4 too, unless it is told not to.
    processes = [
        process for ip, number, process in known["listeners"] if number == port and (covers(ip, address) or ip == "::")
    ]
    who = (published or processes or [""])[0] or "nobody that can be seen from the host"
    if port in known["allowed"]:
        return who, "allowed by --allow"
    if not published and any(process.startswith(f"{SSH} ") for process in processes):
        return who, "how this host is managed"
    return who, ""


def judge(known: Json, source: str, answering: Iterable[Target]) -> tuple[list[Answer], list[Finding]]:
    """Set what answers beside what is declared."""
    found = sorted(answering, key=lambda one: (ipaddress.ip_address(one[0]).version, ipaddress.ip_address(one[0]), one))
    answers = [Answer(address, port, *right(known, source, address, port)) for address, port in found]
    return answers, [undeclared(known, one) for one in answers if not one.right]


def undeclared(known: Json, one: Answer) -> Finding:
    """Say that somebody answers without a right, and what to do."""
    publishers = {name for _, _, name in known["published"]}
    if one.address in known["inside"]:
        mend = ("# The stack firewall should refuse this.", "./sse doctor")
    elif any(port == one.port for _, port, _ in known["declared"]) and known["allow_from"]:
        mend = (f"# exposure_allow_from is {', '.join(known['allow_from'])}, and not in force.", "./sse doctor")
    elif one.who in publishers:
        mend = (f"# Publish it on loopback (-p 127.0.0.1:{one.port}:...), or allow it with --allow {one.port}.",)
    else:
        mend = (f"# Stop it, bind it to 127.0.0.1, or allow it with --allow {one.port}.",)
    wrong = f"{shown(one.address, one.port)} is open to others, and nothing declares it"
    return Finding("open-port", one.who, wrong, "it answers", mend)


def shown(address: str, port: int) -> str:
    """Write an address with its port (RFC 3986: IPv6 in brackets)."""
    return f"{url_host(address)}:{port}"


def view(
    known: Json,
    place: tuple[str, str],
    wanted: Sequence[Target],
    required: Iterable[str],
    seconds: float,
    told: Callable[[int, int], None] | None = None,
) -> View:
    """Look from the namespace of the calling thread, and judge what is seen.

    :param place: where that is, for people, and its address as the host sees it
    :param required: addresses of the host where each declared port must answer
    :param seconds: until a port that says nothing counts as closed
    """
    begun = time.monotonic()
    answering = look(wanted, seconds, told)
    closed = silent(known, place[1], required, answering)
    answers, open_ones = judge(known, place[1], answering)
    return View(" ".join(place), len(wanted), time.monotonic() - begun, answers, [*open_ones, *closed])
