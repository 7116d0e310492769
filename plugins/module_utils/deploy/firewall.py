"""The firewall of a stack: one chain of its own for each family judges every new connection to its networks.

Published ports bypass ufw, and before Engine 28 one published on loopback can be reached from the same layer 2. Both
pass DOCKER-USER (https://docs.docker.com/engine/network/packet-filtering-firewalls/), so a stack is closed there.

Engine 20.10 has no DOCKER-USER for IPv6, and at each start puts its own rules before whatever FORWARD holds. There the
chain is in the table mangle, which comes before: only that it can drop a connection, not refuse it.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory
from ansible_collections.sse.platform.plugins.module_utils.host.iptables import FILTER, WAIT, Rule, fingerprint
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family as families
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, Family

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.release import Release

Walls = dict[Family, list[Rule]]

PASS = ("-j", "RETURN")  # the engine's own rules come next
# IPv6's ARP (RFC 4861): within a bridge it passes here as well, and conntrack knows nothing of it.
NEIGHBOURS: tuple[Rule, ...] = tuple(
    ("-p", "ipv6-icmp", "-m", "icmp6", "--icmpv6-type", kind, *PASS)
    for kind in ("neighbour-solicitation", "neighbour-advertisement")
)
# Read by supervise-dockerd before it starts the engine: one link for each stack.
HOOKS = Path("/var/lib/sse.platform/before-engine.d")
UNITS = Path("/etc/systemd/system")
UNIT = """\
[Unit]
Description=Firewall rules of stack {stack}, before the engine starts its containers
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {script}

[Install]
WantedBy=multi-user.target
"""
SCRIPT = """\
#!/bin/sh
# Written by sse.platform: puts the rules of stack {stack} in place, all at once. Safe to run at any time.
set -eu
"""
PART = """\
{program} {wait} -t {table} -N {parent} 2>/dev/null || :
{program}-restore {wait} --noflush <{rules}
{program} {wait} -t {table} -C {parent} -j {chain} 2>/dev/null || {program} {wait} -t {table} -I {parent} -j {chain}
"""


LOOPBACK_PART = """\
{program} {wait} -C {rule} 2>/dev/null || {program} {wait} -I {rule}
"""


class FirewallError(RuntimeError):
    """The rules can't be put in place."""


def chain(stack: str) -> str:
    """Name the stack's chain; the kernel takes 28 characters, and a stack's name has at most 20."""
    return f"SSE-{stack}"


def passes(releases: Iterable[Release]) -> list[Rule]:
    """List the connections that are declared, by reserved address: between containers, of guests, and from outside."""
    releases = list(releases)
    containers = connections.containers_of(releases)
    networks = connections.networks_of(releases)
    found: list[Rule] = []
    if any(release["layout"] == segments.SEGMENTED for release in releases):
        for edge in connections.declared(containers):
            source, target = containers[edge.source]["networks"], containers[edge.target]["networks"]
            found += [
                between(source[name], target[name], edge.port, f"{edge.source} to {edge.target}")
                for name in source
                if name in target
            ]
        found += guests(containers, networks)
    for name, one in containers.items():
        for network, address in one["networks"].items():
            for port in one["ports"] if address and not networks[network]["internal"] else ():
                if not families.is_loopback(port["host_ip"]):
                    found += from_outside(releases, name, address, port)
    return found


def between(source: str, target: str, port: int, why: str) -> Rule:
    """Let one pair connect on one port."""
    return ("-s", source, "-d", target, "-p", "tcp", "-m", "tcp", "--dport", str(port), *remark(why), *PASS)


def guests(containers: dict[str, Any], networks: dict[str, Any]) -> list[Rule]:
    """Let whoever joins the stack's own network reach what is published from there anyway."""
    return [
        between(networks[network]["ip_range"], address, port["container_port"], f"guests to {name}")
        for name, one in containers.items()
        for network, address in one["networks"].items()
        for port in one["ports"]
        if networks[network]["segment"] == "network"
    ]


def from_outside(releases: list[Release], name: str, address: str, port: dict[str, Any]) -> list[Rule]:
    """Let connections to a published port in, if they came to that port of the host, from the addresses allowed."""
    allowed: list[str] = list(dict.fromkeys(one for release in releases for one in release["allow_from"]))
    sources = [("-s", one) for one in allowed if families.of(one) is families.of(address)] if allowed else [()]
    rule = ("-d", address, "-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT")
    rule += ("--ctorigdstport", str(port["host_port"]))
    rule += ("-m", "tcp", "--dport", str(port["container_port"]), *remark(f"published by {name}"), *PASS)
    return [(*source, *rule) for source in sources]


def remark(text: str) -> Rule:
    """Say in the listing what a rule is for."""
    return ("-m", "comment", "--comment", text)


def walls(releases: Sequence[Release], standing: Sequence[Release] = ()) -> Walls:
    """Return the rules of each family's chain; none of a family that the stack has no addresses of."""
    return {one: rules(releases, standing, one) for one in FAMILIES}


def refusals(family: Family) -> tuple[Rule, ...]:
    """Refuse, and say so: a drop looks like a dead host. The kernel limits ICMP errors, but not resets."""
    return (
        ("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"),
        ("-j", "REJECT", "--reject-with", family.unreachable),
    )


def rules(releases: Sequence[Release], standing: Sequence[Release] = (), family: Family = IPV4) -> list[Rule]:
    """Return the rules of one family's chain, in order; new connections only.

    :param releases: of every project of the stack
    :param standing: what ran so far, while containers are being replaced: what either declares passes
    """
    releases = [families.in_family(one, family) for one in sorted(releases, key=lambda one: str(one["project"]))]
    standing = [families.in_family(one, family) for one in standing]
    everything = [*releases, *standing]
    networks = connections.networks_of(everything)
    if not networks and family is IPV6:
        return []
    subnets = [one["subnet"] for one in networks.values()]
    ranges = [one["ip_range"] for one in networks.values() if one["segment"] == "network"]
    found: list[Rule] = [("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *PASS)]
    found += NEIGHBOURS if family is IPV6 else ()
    found += [*passes(releases), *passes(standing)]
    # What guests listen on is theirs to open.
    found += [("-d", one, *PASS) for one in ranges]
    if any(release["layout"] == segments.SINGLE for release in everything):
        found += [("-s", subnet, *PASS) for subnet in subnets]
    found += [("-d", subnet, *refusal) for subnet in subnets for refusal in refusals(family)]
    return list(dict.fromkeys(found))


def dead_end(name: str) -> Rule:
    """Refuse what a program of the host's own asks of ``::1`` and the engine sends on to a container.

    The kernel lets no answer come back there: it would wait for ever. The interface tells nothing, it is lo still.
    """
    itself = f"{IPV6.loopback}/128"
    sent_on = ("-s", itself, "!", "-d", itself, "-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT")
    return ("OUTPUT", *sent_on, *remark(name), "-j", "REJECT", "--reject-with", "tcp-reset")


def restore_text(name: str, wanted: list[Rule], table: str = FILTER) -> str:
    """Write rules for iptables-restore, which replaces the chain in one step; the last one never matches, and signs."""
    lines = [" ".join(f'"{part}"' if " " in part else part for part in rule) for rule in wanted]
    lines.append(f'-m comment --comment "{name} {fingerprint(wanted)}" {" ".join(PASS)}')
    return "\n".join([f"*{table}", f":{name} - [0:0]", *(f"-A {name} {line}" for line in lines), "COMMIT"]) + "\n"


class Firewall:
    """The chains of one stack on this host, one for each family."""

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look which iptables the engine uses."""
        self.stack = stack
        self.chain = chain(stack)
        self.directory = Path(state_directory) / "firewall"
        self.places = {one: found for one in FAMILIES if (found := iptables.place(one))}
        self.unit = UNITS / f"sse-platform-firewall-{stack}.service"
        self.hook = HOOKS / stack

    def stands(self, wanted: Walls) -> bool:
        """Tell whether just these rules are in place, and asked."""
        chains = all(
            self.places[family].stands(self.chain, rules) if family in self.places else not rules
            for family, rules in wanted.items()
        )
        return chains and self.has_dead_end() == bool(wanted[IPV6])

    def has_dead_end(self) -> bool:
        """Tell whether ``::1`` is refused."""
        found = self.places.get(IPV6)
        return bool(found) and iptables.run(found.program, *WAIT, "-C", *dead_end(self.chain)).returncode == 0

    def ensure(self, wanted: Walls, *, check: bool) -> bool:
        """Put the rules in place, now and for every start of the host; tell whether anything had to change.

        :raises FirewallError: where iptables refuses them
        """
        if IPV4 not in self.places:
            return False  # preflight has said so
        if self.stands(wanted) and self.survives(wanted):
            return False
        if not check:
            if wanted[IPV6] and IPV6 not in self.places:
                raise FirewallError("the engine does not manage ip6tables, so nothing would close the stack's IPv6")
            write_directory(self.directory, self.files(wanted), mode=0o444, owner=(0, 0))
            done = iptables.run("/bin/sh", str(self.directory / "restore"))
            if done.returncode:
                raise FirewallError(f"the firewall rules of {self.chain} are refused: {done.stderr.strip()}")
            for family in self.places:
                if not wanted[family]:
                    self.drop(family)
            self.enable()
        return True

    def files(self, wanted: Walls) -> dict[str, str]:
        """Return the files that put the rules in place."""
        files = {"restore": SCRIPT.format(stack=self.stack)}
        for family, one in self.places.items():
            if wanted[family]:
                name = f"rules{family.version}"
                values = {**one._asdict(), "wait": " ".join(WAIT), "chain": self.chain}
                files[name] = restore_text(self.chain, one.able(wanted[family]), one.table)
                files["restore"] += PART.format(**values, rules=self.directory / name)
                if family is IPV6:
                    files["restore"] += LOOPBACK_PART.format(**values, rule=" ".join(dead_end(self.chain)))
        return files

    def survives(self, wanted: Walls) -> bool:
        """Tell whether the rules will be there after the host's next start."""
        files = self.files(wanted)
        kept = all(
            (self.directory / name).is_file() and (self.directory / name).read_text() == text
            for name, text in files.items()
        )
        return kept and (self.unit.exists() if systemd() else self.hook.is_symlink())

    def enable(self) -> None:
        """Have the rules put in place before the engine starts: by systemd, else by supervise-dockerd."""
        if systemd():
            self.unit.write_text(UNIT.format(stack=self.stack, script=self.directory / "restore"))
            iptables.run("systemctl", "daemon-reload")
            iptables.run("systemctl", "enable", self.unit.name)
        else:
            HOOKS.mkdir(parents=True, exist_ok=True)
            self.hook.unlink(missing_ok=True)
            self.hook.symlink_to(self.directory / "restore")

    def drop(self, family: Family) -> None:
        """Take what is of one family away."""
        self.places[family].drop(self.chain)
        if family is IPV6:
            iptables.run(self.places[family].program, *WAIT, "-D", *dead_end(self.chain))

    def remove(self) -> None:
        """Take the chains and everything that puts them back away."""
        for family in self.places:
            self.drop(family)
        if self.unit.exists():
            iptables.run("systemctl", "disable", self.unit.name)
            self.unit.unlink()
            iptables.run("systemctl", "daemon-reload")
        self.hook.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def systemd() -> bool:
    """Tell whether systemd starts services here."""
    return Path("/run/systemd/system").is_dir()
