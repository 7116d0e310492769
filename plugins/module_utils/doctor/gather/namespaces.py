# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What is seen inside the network namespaces of containers, and of the host."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, Inside, TriedConnection
from ansible_collections.sse.platform.plugins.module_utils.host import (
    hosts_file,
    iptables_rules,
    listeners,
    namespace,
    netlink,
    procfs,
)
from ansible_collections.sse.platform.plugins.module_utils.model.types import Interface, ListenerFact

THREADS = 32  # nearly all of them wait for an answer


def look_inside(containers: Sequence[Container], host: Sequence[ListenerFact]) -> None:
    """Add to each running container what its network namespace shows.

    :param host: who listens on the host
    """
    running = [one for one in containers if one["running"]]
    with ThreadPoolExecutor(THREADS) as pool:
        for one, inside in zip(running, pool.map(partial(describe, host), running), strict=True):
            one["inside"] = inside


def describe(host: Sequence[ListenerFact], container: Container) -> Inside | None:
    """Describe the network namespace of a running container; None where it has ended."""
    root, pid = f"/proc/{container['pid']}/root", container["pid"]
    if container["mode"] == "host":
        own = listening_on_host(container["id"], host)
        return {"listening": own, "interfaces": [], "mtu": {}, "dns": "", "hosts": {}, "rules": None}
    asked = container["name"] if nameserver(procfs.read(f"{root}/etc/resolv.conf")) == namespace.EMBEDDED_DNS else ""
    try:
        found = {(one.address, one.port) for one in listeners.listeners(pid) if one.address != namespace.EMBEDDED_DNS}
        interfaces, mtu, dns = namespace.inside(pid, partial(look_around, asked))
    except OSError:
        return None
    named = [*hosts_file.entries(procfs.read(f"{root}/etc/hosts"))]
    hosts = {name: address for name, address in reversed(named) if ":" not in address}
    return {
        "listening": sorted(found), "interfaces": interfaces, "mtu": mtu, "dns": dns, "hosts": hosts, "rules": None
    }  # fmt: skip


def look_around(name: str) -> tuple[list[Interface], dict[str, int], str]:
    """Return interfaces, their MTU, and why the engine's DNS does not answer, in the namespace of the calling thread.

    :param name: what to ask the engine's DNS for; empty: nothing
    """
    found = netlink.interfaces()
    return found, {one["name"]: netlink.mtu(one["name"]) for one in found}, dns_error(name) if name else ""


def dns_error(name: str) -> str:
    """Return why the engine's DNS does not answer; empty where it does, even if it does not know the name."""
    try:
        namespace.ask(name)
    except (TimeoutError, ConnectionError) as error:
        return str(error) or type(error).__name__
    except OSError as error:
        return str(error) if error.errno else ""
    return ""


def nameserver(resolv_conf: str) -> str:
    """Return the first name server of the text of a resolv.conf."""
    return next((line.split()[1] for line in resolv_conf.splitlines() if line.startswith("nameserver ")), "")


def listening_on_host(container: str, host: Sequence[ListenerFact]) -> list[tuple[str, int]]:
    """Return where the processes of a container in the host's own namespace listen; their control group names it.

    :param container: its id
    """
    found: set[tuple[str, int]] = set()
    for one in host:
        pid = one["process"].rpartition("pid ")[2].rstrip(")")
        if one["protocol"] == "tcp" and pid and container in procfs.read(f"/proc/{pid}/cgroup"):
            found.add((one["address"], one["port"]))
    return sorted(found)


def look_at_rules(containers: Sequence[Container], tried: Sequence[TriedConnection]) -> None:
    """Add the iptables rules inside both ends of each connection that failed; each reading costs a process."""
    ends = {name for one in tried if one.failed == "connect" for name in (one.source, one.target)}
    for one in containers:
        if one["name"] in ends and one["inside"]:
            one["inside"]["rules"] = rules(one["pid"])


def rules(pid: int) -> iptables_rules.Rules | None:
    """Return the iptables rules in the network namespace of a process; None where they cannot be read."""
    try:
        return iptables_rules.parse(namespace.inside(pid, iptables_rules.save))
    except OSError:
        return None
