# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the host's addresses answer: every declared port where it was declared, and nothing else of the stack."""

from __future__ import annotations

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import listeners, tcp
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import (
    FAMILIES,
    IPV4,
    WILDCARDS,
    Family,
    of,
    url_host,
)
from ansible_collections.sse.platform.plugins.module_utils.verify.blocking import Blocked, nothing
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANY = IPV4.wildcard
ANSWER_SECONDS = 3.0  # on the host itself; a packet that is dropped, not refused, takes this long to notice
REFUSE_SECONDS = 0.5  # the same where no answer is expected
THREADS = 32  # nearly all of them wait on sockets nearly all the time


class Publication(NamedTuple):
    """One port of a container on one address of the host."""

    host_ip: str
    host_port: int
    container_port: int

    @property
    def shown(self) -> str:
        """As docker prints it."""
        return f"{url_host(self.host_ip)}:{self.host_port}->{self.container_port}"


def check(running: Running, subjects: Sequence[Subject], _asked: None) -> Checked:
    """Compare what is published with what is declared, and connect to what must answer and what must not."""
    wanted = {one.name: declared(one.spec) for one in subjects}
    findings = [one for each in subjects for one in undeclared(each.name, wanted[each.name], published(each.inspected))]
    others = [one for one in running.observed if one.name not in wanted and one.status == "running"]
    by_others = {port for one in others for port in published_by(running.engine, one.id)}
    own = [address for one in FAMILIES for address in (one.loopback, host_address(one))]
    addresses = sorted({*own, *running.gateways("Gateway", "IPv6Gateway")} - {""})
    owned = owners(listeners.listeners("self"), by_others)

    def blocked(name: str, one: Publication, address: str) -> Blocked | None:
        return running.blocking.published(running.places[name], address, (one.host_port, one.container_port))

    must_answer = [(name, one) for name in wanted for one in sorted(wanted[name])]
    must_not = closed_ports({one.name: one.listens() for one in subjects}, wanted, addresses)
    with ThreadPoolExecutor(THREADS) as pool:
        answered = pool.map(partial(unanswered, running.own_addresses(), blocked=blocked), must_answer)
        leaked = pool.map(partial(leaking, owned), must_not)
    silent = [one for found in answered for one in found]
    findings += silent + [one for found in leaked for one in found]
    return Checked(findings, len(must_answer) - len(silent))


def published_by(engine: Engine, container: str) -> set[Publication]:
    """List what a container of somebody else publishes; it may go at any moment."""
    with contextlib.suppress(EngineError):
        return published(engine.inspect(container))
    return set()


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


def undeclared(name: str, wanted: set[Publication], actual: set[Publication]) -> list[Finding]:
    """Compare what is declared with what the engine publishes."""
    mend = (f"docker rm -f {name}", "./sse up")
    found = [("publishes a port that is not declared", f"the engine publishes {one.shown}") for one in actual - wanted]
    found += [(f"does not publish {one.shown}", "the engine does not publish it") for one in wanted - actual]
    return [Finding("published-port", name, *one, mend) for one in sorted(found)]


def host_address(family: Family) -> str:
    """Return the address that this host uses towards others, or an empty string. Sends nothing."""
    try:
        with socket.socket(family.domain, socket.SOCK_DGRAM) as sock:
            sock.connect((family.documentation, 9))  # a route is looked up, no packet leaves
            return str(sock.getsockname()[0])
    except OSError:
        return ""


def unanswered(
    own: dict[str, str],
    port: tuple[str, Publication],
    blocked: Callable[[str, Publication, str], Blocked | None] = nothing,
) -> list[Finding]:
    """See that a declared port of a container answers on its address.

    :param own: an address of the host for each one that stands for all of a family
    :param blocked: tells which rule of a firewall is in the way
    """
    name, one = port
    address = own.get(one.host_ip, one.host_ip)
    got = tcp.hindered((address, one.host_port), ANSWER_SECONDS)
    if not got:
        return []
    wrong = f"could not connect to {url_host(address)}:{one.host_port} on the host"
    if rule := blocked(name, one, address):
        why = f"{wrong}: a firewall rule blocks it"
        return [Finding("published-port", name, why, f"{got}; {rule.shown}", (rule.mend,))]
    advice = f"# Does {name} listen on {one.container_port}? Does a firewall of the host drop the connection?"
    return [Finding("published-port", name, wrong, got, (advice, f"./sse logs {name}"))]


def closed_ports(
    listening: dict[str, set[int]], wanted: dict[str, set[Publication]], addresses: list[str]
) -> list[tuple[str, str, int]]:
    """List what must not answer: (container, host address, port).

    That is each port a container listens on but does not publish, on every address of the host; and each published
    one, on the addresses it is not published on.

    :param listening: ports by container, as its namespace shows them
    :param wanted: declared publications by container
    """
    open_ports = {(one.host_ip, one.host_port) for each in wanted.values() for one in each}
    must_close = {
        (name, address, port)
        for name, ports in listening.items()
        for port in ports | {one.host_port for one in wanted.get(name, set())}
        for address in addresses
        if not any((ip, port) in open_ports for ip in (address, of(address).wildcard))
    }
    return sorted(must_close)


def owners(listeners: Iterable[Listener], others: Iterable[Publication]) -> set[tuple[str, int]]:
    """List (address, port) pairs that somebody else on the host answers on, by right."""
    return {(one.address, one.port) for one in listeners} | {(one.host_ip, one.host_port) for one in others}


def leaking(owned: set[tuple[str, int]], place: tuple[str, str, int]) -> list[Finding]:
    """See that a port that must be closed does not answer, unless somebody owns it by right."""
    name, address, port = place
    if any((ip, port) in owned for ip in (address, *WILDCARDS)) or tcp.hindered(
        (address, port), REFUSE_SECONDS, servers=()
    ):
        return []
    wrong = f"{url_host(address)}:{port} is open on the host, and nothing declares it"
    mend = (
        "# No process of the host listens there: look for a rule that forwards the port.",
        f"{of(address).iptables} -t nat -S | grep {port}",
    )
    return [Finding("published-port", name, wrong, "it answers", mend)]


KIND = Kind("published-port", "published ports", together(check))
