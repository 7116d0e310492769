"""What the host's addresses answer: every declared port where it was declared, and nothing else of the stack."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, WILDCARDS, Family, of, url_host

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener
    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec

ANY = IPV4.wildcard
LOOPBACK = IPV4.loopback
ANSWER_SECONDS = 3.0  # on the host itself; a packet that is dropped, not refused, takes this long to notice
REFUSE_SECONDS = 0.5  # the same where no answer is expected
HOLD_SECONDS = 0.1  # docker-proxy accepts for a dead container and hangs up at once; a server holds or greets


class Publication(NamedTuple):
    """One port of a container on one address of the host."""

    host_ip: str
    host_port: int
    container_port: int

    @property
    def shown(self) -> str:
        """As docker prints it."""
        return f"{url_host(self.host_ip)}:{self.host_port}->{self.container_port}"


def declared(spec: Spec) -> set[Publication]:
    """List what a spec publishes."""
    return {Publication(one["host_ip"], one["host_port"], one["container_port"]) for one in spec["ports"]}


def published(inspected: Inspected) -> set[Publication]:
    """List what a container publishes in fact."""
    ports = inspected["NetworkSettings"]["Ports"] or {}
    return {
        Publication(one["HostIp"] or ANY, int(one["HostPort"]), int(inside.split("/")[0]))
        for inside, bindings in ports.items()
        for one in bindings or []
    }


def undeclared(name: str, wanted: set[Publication], actual: set[Publication]) -> list[Fault]:
    """Compare what is declared with what the engine publishes."""
    faults = [
        Fault(
            name,
            "find only declared ports published",
            f"the engine publishes {one.shown}",
            f"nobody declared it: remove the container (docker rm -f {name}) and run `./sse up`",
        )
        for one in sorted(actual - wanted)
    ]
    faults += [
        Fault(
            name,
            f"find {one.shown} published",
            "the engine does not publish it",
            f"recreate the container: docker rm -f {name}, then `./sse up`",
        )
        for one in sorted(wanted - actual)
    ]
    return faults


def host_address(family: Family) -> str:
    """Return the address that this host uses towards others, or an empty string. Sends nothing."""
    try:
        with socket.socket(family.domain, socket.SOCK_DGRAM) as sock:
            sock.connect((family.documentation, 9))  # a route is looked up, no packet leaves
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def answers(address: str, port: int, timeout: float) -> str:
    """Connect; return an empty string where somebody answers and stays, else what happened."""
    try:
        with socket.create_connection((address, port), timeout=timeout) as sock:
            sock.settimeout(HOLD_SECONDS)
            try:
                return "" if sock.recv(1) else "the connection is closed at once"
            except TimeoutError:
                return ""
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror or error}"


def unanswered(own: dict[str, str], door: tuple[str, Publication]) -> list[Fault]:
    """See that a declared port of a container answers on its address.

    :param own: an address of the host for each one that stands for all of a family
    """
    name, one = door
    address = own.get(one.host_ip, one.host_ip)
    got = answers(address, one.host_port, ANSWER_SECONDS)
    if not got:
        return []
    advice = f"does {name} listen on {one.container_port} (./sse logs {name})? does a firewall stand between?"
    return [Fault(name, f"connect to {url_host(address)}:{one.host_port} on the host", got, advice)]


def closed_doors(
    listening: dict[str, set[int]], wanted: dict[str, set[Publication]], addresses: list[str]
) -> list[tuple[str, str, int]]:
    """List what must not answer: (container, host address, port).

    That is each port a container listens on but does not publish, on every address of the host; and each published
    one, on the addresses it is not published on.

    :param listening: ports by container, as its namespace shows them
    :param wanted: declared publications by container
    """
    open_doors = {(one.host_ip, one.host_port) for each in wanted.values() for one in each}
    doors = {
        (name, address, port)
        for name, ports in listening.items()
        for port in ports | {one.host_port for one in wanted.get(name, set())}
        for address in addresses
        if not any((ip, port) in open_doors for ip in (address, of(address).wildcard))
    }
    return sorted(doors)


def owners(listeners: Iterable[Listener], others: Iterable[Publication]) -> set[tuple[str, int]]:
    """List (address, port) pairs that somebody else on the host answers on, by right."""
    return {(one.address, one.port) for one in listeners} | {(one.host_ip, one.host_port) for one in others}


def leaking(owned: set[tuple[str, int]], door: tuple[str, str, int]) -> list[Fault]:
    """See that a door which must be closed does not answer, unless somebody owns it by right."""
    name, address, port = door
    if any((ip, port) in owned for ip in (address, *WILDCARDS)) or answers(address, port, REFUSE_SECONDS):
        return []
    advice = (
        f"nobody declares it or listens there: look for a stray rule ({of(address).iptables} -t nat -S | grep {port})"
    )
    return [Fault(name, f"find {url_host(address)}:{port} closed on the host", "it answers", advice)]
