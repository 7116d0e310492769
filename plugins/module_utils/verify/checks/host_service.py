# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A service that runs on the host itself, outside any container, as containers see it: by the name HOST."""

from __future__ import annotations

import contextlib
import ipaddress
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import listeners, namespace, tcp
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, WILDCARDS
from ansible_collections.sse.platform.plugins.module_utils.model.spec import HOST
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.host.listeners import Listener
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

CONNECT_SECONDS = 2.0  # within the host: what takes longer is dropped on the way


def check(_running: Running, subject: Subject, _asked: None) -> Checked:
    """Connect from a container to the ports of the host that it declares."""
    name, pid, ports = subject.name, subject.pid, subject.spec["reaches_host"]
    if not ports:
        return Checked(verified=0)
    address = namespace.hosts_file(pid, HOST)
    found = unnamed(name, address)
    if found:
        return Checked([found], 0)
    tried = namespace.inside(pid, lambda: tcp.connect_all([(address, port) for port in ports], CONNECT_SECONDS))
    findings: list[Finding] = []
    for (_address, port), attempt in tried.items():
        if attempt.error:
            why, advice = diagnose(listeners.listeners("self"), address, port)
            wrong = f"could not connect to {HOST}:{port} ({address})"
            findings.append(Finding("host-service", name, wrong, f"{attempt.error}; {why}", (f"# {advice}",)))
    return Checked(findings, len(tried) - len(findings))


def unnamed(name: str, address: str) -> Finding | None:
    """Say what is wrong with the address of the host in the /etc/hosts of a container; None where it is one."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address)
        return None
    again = (f"docker rm -f {name}", "./sse up")
    if not address:
        wrong = f"{HOST} is missing in the /etc/hosts of the container"
        return Finding("host-service", name, wrong, "the file names other hosts, or none", again)
    # The engine asks its own bridge when it starts, and writes <nil> for ever after where that had no address.
    wrong = f"{HOST} has no address in the /etc/hosts of the container"
    evidence = f"the engine wrote {address}: its bridge docker0 had no address when it started"
    return Finding("host-service", name, wrong, evidence, ("systemctl restart docker", *again))


def diagnose(listening_sockets: Iterable[Listener], address: str, port: int) -> tuple[str, str]:
    """Say why nobody answers at an address of the host, and what to do, by who listens there."""
    listening = {one.address for one in listening_sockets if one.port == port}
    why = unheard(listening, address, port)
    if why:
        return why, f"Let the service listen on {address}:{port}, and on no other address of the host."
    firewall = f"Allow it: iptables -I INPUT -d {address} -p tcp --dport {port} -j ACCEPT"
    return f"the host listens on port {port}, so a firewall of the host drops it", firewall


def unheard(listening: set[str], address: str, port: int) -> str:
    """Say why nobody hears what comes to an address of the host, by where its port is open; empty if one does."""
    if not listening:
        return f"nothing listens on port {port} of the host"
    if listening <= {one.loopback for one in FAMILIES}:
        return f"on the host, port {port} listens on loopback only, where no container is"
    if address not in listening and not listening & WILDCARDS:
        return f"on the host, port {port} listens on {', '.join(sorted(listening))} only"
    return ""


KIND = Kind("host-service", "services on the host", each(check))
