"""The firewall of a stack: one chain of its own, called from DOCKER-USER, judges every new connection to its networks.

Published ports bypass ufw, and before Engine 28 one published on loopback can be reached from the same layer 2. Both
pass DOCKER-USER (https://docs.docker.com/engine/network/packet-filtering-firewalls/), so a stack is closed there.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils import layout, reach
from ansible_collections.sse.platform.plugins.module_utils.files import write_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.release import Release

Rule = tuple[str, ...]  # as iptables takes it, without the chain

PARENT = "DOCKER-USER"
# Which of the kernel's two tables the engine uses depends on the host's alternatives: the one that has DOCKER-USER.
PROGRAMS = ("iptables", "iptables-nft", "iptables-legacy")
PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
LOOPBACK = "127."
WAIT = ("-w", "10")  # seconds for another program that holds the table's lock
SECONDS = 30.0  # for one program
PASS = ("-j", "RETURN")  # the engine's own rules come next
# Told at once; a drop looks like a dead host. The kernel limits how many ICMP errors it sends, not how many resets.
REFUSALS: tuple[Rule, ...] = (
    ("-p", "tcp", "-j", "REJECT", "--reject-with", "tcp-reset"),
    ("-j", "REJECT", "--reject-with", "icmp-port-unreachable"),
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
{program} {wait} -N {parent} 2>/dev/null || :
{program}-restore {wait} --noflush <{rules}
{program} {wait} -C {parent} -j {chain} 2>/dev/null || {program} {wait} -I {parent} -j {chain}
"""


class FirewallError(RuntimeError):
    """The rules can't be put in place."""


def chain(stack: str) -> str:
    """Name the stack's chain; the kernel takes 28 characters, and a stack's name has at most 20."""
    return f"SSE-{stack}"


def passes(releases: Iterable[Release]) -> list[Rule]:
    """List the connections that are declared, by reserved address: between containers, of guests, and from outside."""
    releases = list(releases)
    containers = reach.containers_of(releases)
    networks = networks_of(releases)
    found: list[Rule] = []
    if any(release["layout"] == layout.SEGMENTED for release in releases):
        for edge in reach.declared(containers):
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
                if not port["host_ip"].startswith(LOOPBACK):
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
    rule = ("-d", address, "-p", "tcp", "-m", "conntrack", "--ctstate", "DNAT")
    rule += ("--ctorigdstport", str(port["host_port"]))
    rule += ("-m", "tcp", "--dport", str(port["container_port"]), *remark(f"published by {name}"), *PASS)
    return [("-s", source, *rule) for source in allowed] or [rule]


def remark(text: str) -> Rule:
    """Say in the listing what a rule is for."""
    return ("-m", "comment", "--comment", text)


def networks_of(releases: Iterable[Release]) -> dict[str, Any]:
    """Return all networks by name."""
    return {name: one for release in releases for name, one in release["networks"].items()}


def rules(releases: Sequence[Release], standing: Sequence[Release] = ()) -> list[Rule]:
    """Return the rules of the chain, in order; new connections only.

    :param releases: of every project of the stack
    :param standing: what ran so far, while containers are being replaced: what either declares passes
    """
    releases = sorted(releases, key=lambda one: str(one["project"]))
    everything = [*releases, *standing]
    networks = networks_of(everything)
    subnets = [one["subnet"] for one in networks.values()]
    ranges = [one["ip_range"] for one in networks.values() if one["segment"] == "network"]
    found: list[Rule] = [("-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", *PASS)]
    found += [*passes(releases), *passes(standing)]
    # What guests listen on is theirs to open.
    found += [("-d", one, *PASS) for one in ranges]
    if any(release["layout"] == layout.SINGLE for release in everything):
        found += [("-s", subnet, *PASS) for subnet in subnets]
    found += [("-d", subnet, *refusal) for subnet in subnets for refusal in REFUSALS]
    return list(dict.fromkeys(found))


def fingerprint(wanted: list[Rule]) -> str:
    """Hash rules (16 hex digits): how iptables prints a rule differs between its versions, its remark does not."""
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:16]


def restore_text(name: str, wanted: list[Rule]) -> str:
    """Write rules for iptables-restore, which replaces the chain in one step; the last one never matches, and signs."""
    lines = [" ".join(f'"{part}"' if " " in part else part for part in rule) for rule in wanted]
    lines.append(f'-m comment --comment "{name} {fingerprint(wanted)}" {" ".join(PASS)}')
    return "\n".join(["*filter", f":{name} - [0:0]", *(f"-A {name} {line}" for line in lines), "COMMIT"]) + "\n"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program."""
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def listing(program: str, name: str) -> list[str] | None:
    """List the rules of a chain; None where there is no such chain."""
    found = run(program, *WAIT, "-S", name)
    return [line for line in found.stdout.splitlines() if line.startswith("-A ")] if found.returncode == 0 else None


def program() -> str:
    """Return the iptables that the engine uses; empty where none has its chain."""
    for name in PROGRAMS:
        path = shutil.which(name, path=PATH)
        if path and listing(path, PARENT) is not None:
            return path
    return ""


class Firewall:
    """The chain of one stack on this host."""

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look which iptables the engine uses."""
        self.stack = stack
        self.chain = chain(stack)
        self.directory = Path(state_directory) / "firewall"
        self.program = program()
        self.unit = UNITS / f"sse-platform-firewall-{stack}.service"
        self.hook = HOOKS / stack

    def stands(self, wanted: list[Rule]) -> bool:
        """Tell whether just these rules are in place, and asked."""
        present = listing(self.program, self.chain)
        called = any(line.endswith(f"-j {self.chain}") for line in listing(self.program, PARENT) or [])
        signed = bool(present) and f'"{self.chain} {fingerprint(wanted)}"' in present[-1]
        return called and signed and len(present or []) == len(wanted) + 1

    def ensure(self, wanted: list[Rule], *, check: bool) -> bool:
        """Put the rules in place, now and for every start of the host; tell whether anything had to change.

        :raises FirewallError: where iptables refuses them
        """
        if not self.program:
            return False  # preflight has said so
        if self.stands(wanted) and self.survives(wanted):
            return False
        if not check:
            write_directory(self.directory, self.files(wanted), mode=0o444, owner=(0, 0))
            done = run("/bin/sh", str(self.directory / "restore"))
            if done.returncode:
                raise FirewallError(f"the firewall rules of {self.chain} are refused: {done.stderr.strip()}")
            self.enable()
        return True

    def files(self, wanted: list[Rule]) -> dict[str, str]:
        """Return the files that put the rules in place."""
        values = {"program": self.program, "wait": " ".join(WAIT), "parent": PARENT, "chain": self.chain}
        script = SCRIPT.format(stack=self.stack, rules=self.directory / "rules", **values)
        return {"rules": restore_text(self.chain, wanted), "restore": script}

    def survives(self, wanted: list[Rule]) -> bool:
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
            run("systemctl", "daemon-reload")
            run("systemctl", "enable", self.unit.name)
        else:
            HOOKS.mkdir(parents=True, exist_ok=True)
            self.hook.unlink(missing_ok=True)
            self.hook.symlink_to(self.directory / "restore")

    def remove(self) -> None:
        """Take the chain and everything that puts it back away."""
        if self.program:
            run(self.program, *WAIT, "-D", PARENT, "-j", self.chain)
            run(self.program, *WAIT, "-F", self.chain)
            run(self.program, *WAIT, "-X", self.chain)
        if self.unit.exists():
            run("systemctl", "disable", self.unit.name)
            self.unit.unlink()
            run("systemctl", "daemon-reload")
        self.hook.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


def systemd() -> bool:
    """Tell whether systemd starts services here."""
    return Path("/run/systemd/system").is_dir()
