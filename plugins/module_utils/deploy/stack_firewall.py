# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The stack firewall: one chain in each IP family that judges every new connection to the stack's networks.

Published ports bypass ufw, and before Engine 28 a port that is published on loopback can be reached from the same
layer 2. Both kinds of packets pass DOCKER-USER (https://docs.docker.com/engine/network/packet-filtering-firewalls/),
so the chain is called from there.

Engine 20.10 has no DOCKER-USER for IPv6, and at each start it puts its own rules before all others of FORWARD. There
the chain is in the table mangle, which the kernel asks first. That table can drop a connection, but not refuse it.

What somebody inserts into FORWARD comes before the call of DOCKER-USER. Where such a rule lets pass what the chain
refuses, the call is put before this rule, as the engine itself does at each start. Nobody's rule is removed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import (
    Guard,
    Rules,
    chain_name,
    guards,
    rules_by_family,
    undeclared,
)
from ansible_collections.sse.platform.plugins.module_utils.host import iptables
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory
from ansible_collections.sse.platform.plugins.module_utils.host.first_asked import Bypass, bypass, chains_in
from ansible_collections.sse.platform.plugins.module_utils.host.iptables import WAIT
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import routes
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import FAMILIES, IPV4, IPV6, Family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

NOT_KEPT = "what puts its rules in place at the next start of the host was changed"
CALLS = 2  # of chains on the way to the stack's own: each may come too late
# supervise-dockerd runs these before it starts the engine: one link for each stack.
HOOKS = Path("/var/lib/sse.platform/before-engine.d")
UNITS = Path("/etc/systemd/system")
TARGET = "multi-user.target"
UNIT = """\
[Unit]
Description={what}, before the engine starts its containers
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {script}

[Install]
WantedBy={target}
"""
# These three make the file `restore`. Where its text changes, the next run writes all rules anew.
SCRIPT = """\
#!/bin/sh
# Written by sse.platform: puts the rules of {what} in place, all at once. Safe to run at any time.
set -eu
"""
PART = """\
{program} {wait} -t {table} -N {parent} 2>/dev/null || :
{program}-restore {wait} --noflush <{rules}
# A rule that decides about every packet, and comes first, would leave the chain unasked.
first=$({program} {wait} -t {table} -S {parent} |
  sed -nE 's/{comment}//g; /^-A {parent} -j ({chain}|{decides})$/{{p;q}}')
[ "$first" = "-A {parent} -j {chain}" ] || {{
  while {program} {wait} -t {table} -D {parent} -j {chain} 2>/dev/null; do :; done
  {program} {wait} -t {table} -I {parent} -j {chain}
}}
"""
GUARD_PART = """\
{program} {wait} -t {table} -C {rule} 2>/dev/null || {program} {wait} -t {table} -I {rule}
"""


class FirewallError(RuntimeError):
    """The rules cannot be put in place."""


class KeptRules:
    """Files that put rules in place, and what runs them before the engine starts."""

    what = ""  # the chain, for people
    directory: Path
    unit: Path
    unit_text = ""  # what systemd is told
    hook: Path  # what supervise-dockerd runs

    def are_kept(self, files: Mapping[str, str]) -> bool:
        """Tell whether the rules will be there after the next start of the host."""
        if not all(holds(self.directory / name, text) for name, text in files.items()):
            return False
        if not systemd():
            return self.hook.is_symlink() and self.hook.readlink() == self.directory / "restore"
        wanted_by = self.unit.parent / f"{TARGET}.wants" / self.unit.name
        return os.path.lexists(wanted_by) and holds(self.unit, self.unit_text)

    def put(self, files: Mapping[str, str]) -> None:
        """Write the files, and put the rules in place.

        :raises FirewallError: iptables refuses them
        """
        write_directory(self.directory, dict(files), mode=0o400, owner=(0, 0))
        done = iptables.run("/bin/sh", str(self.directory / "restore"))
        if done.returncode:
            raise FirewallError(f"iptables refuses the rules of {self.what}: {done.stderr.strip()}")

    def enable(self) -> None:
        """Have the rules put in place before the engine starts: by systemd, else by supervise-dockerd.

        :raises FirewallError: systemd refuses
        """
        if systemd():
            if self.unit.is_symlink():  # somebody masked it
                self.unit.unlink()
            self.unit.write_text(self.unit_text)
            iptables.run("systemctl", "daemon-reload")
            done = iptables.run("systemctl", "enable", self.unit.name)
            if done.returncode:
                raise FirewallError(
                    f"The rules of {self.what} are in place, but nothing would put them back after a reboot: "
                    f"systemctl enable {self.unit.name} says {done.stderr.strip()!r}. Mend that, and run this again."
                )
        else:
            HOOKS.mkdir(parents=True, exist_ok=True)
            self.hook.unlink(missing_ok=True)
            self.hook.symlink_to(self.directory / "restore")

    def forget(self) -> None:
        """Remove everything that puts the rules back."""
        if self.unit.exists():
            iptables.run("systemctl", "disable", self.unit.name)
            self.unit.unlink()
            iptables.run("systemctl", "daemon-reload")
        self.hook.unlink(missing_ok=True)
        shutil.rmtree(self.directory, ignore_errors=True)


class StackFirewall(KeptRules):
    """The chains of one stack on this host, one in each IP family."""

    def __init__(self, stack: str, state_directory: str) -> None:
        """Look which iptables the engine uses."""
        self.stack = stack
        self.chain = self.what = chain_name(stack)
        self.directory = Path(state_directory) / "firewall"
        self.places = {family: found for family in FAMILIES if (found := iptables.place(family))}
        self.unit = UNITS / f"sse-platform-firewall-{stack}.service"
        self.hook = HOOKS / stack
        self.unit_text = UNIT.format(
            what=f"Firewall rules of stack {stack}", script=self.directory / "restore", target=TARGET
        )
        self.bypasses: dict[Family, Bypass] = {}
        self.wrong = ""  # what `ensure` found, for people

    def open_for(self, coming: Sequence[Release], running: Sequence[Release], *, check: bool) -> list[str]:
        """Accept what the running and the coming releases declare, while containers change from one to the other.

        :param coming: the releases that are about to run
        :param running: those that run now, of every project of the stack
        :returns: what changed, one line each; in check mode what the run would say at its end, after `close_to`
        :raises FirewallError: where iptables refuses the rules
        """
        projects = {one["project"] for one in coming}
        others = [one for one in running if one["project"] not in projects]
        leaving = [one for one in running if one["project"] in projects]
        opened = self.ensure(rules_by_family([*coming, *others], leaving), [*coming, *others], check=check)
        if not check:
            return opened
        closed = rules_by_family([*coming, *others])
        return [self.told(closed)] if opened else self.ensure(closed, check=True)

    def close_to(self, releases: Sequence[Release], *, check: bool = False) -> list[str]:
        """Accept what these releases declare and nothing else; return what changed or would change, one line each.

        :raises FirewallError: where iptables refuses the rules
        """
        return self.ensure(rules_by_family(releases), releases, check=check)

    def is_closed_to(self, releases: Sequence[Release]) -> bool:
        """Tell whether the kernel has the rules of these releases and no others, and asks them first."""
        if not self.in_kernel(rules_by_family(releases)):
            return False
        self.bypasses = self.passing(releases)
        return not self.bypasses

    def in_kernel(self, wanted: Rules) -> bool:
        """Tell whether the kernel has these rules and no others, and calls the chain."""
        chains = all(
            self.places[family].is_in_place(self.chain, rules) if family in self.places else not rules
            for family, rules in wanted.items()
        )
        return chains and all(self.guarded(family) == bool(wanted[family]) for family in FAMILIES)

    def guarded(self, family: Family) -> bool:
        """Tell whether the rule for the loopback addresses of an IP family is in place."""
        found, guard = self.places.get(family), guards(self.chain)[family]
        return bool(found) and self.guard(found.program, "-C", guard)

    @staticmethod
    def guard(program: str, option: str, guard: Guard) -> bool:
        """Check or delete a guard; tell whether it was there."""
        return iptables.run(program, *WAIT, "-t", guard.table, option, *guard.rule).returncode == 0

    @property
    def bypass(self) -> str:
        """How connections pass the chain, for people; empty where none was found that does."""
        return "; ".join(dict.fromkeys(one.text for one in self.bypasses.values()))

    def passing(self, releases: Sequence[Release]) -> dict[Family, Bypass]:
        """Find how connections that these releases do not declare pass without the chain being asked."""
        found: dict[Family, Bypass] = {}
        for family, place in self.places.items():
            uplink = next((one["device"] for one in routes(family) if one["destination"].endswith("/0")), "")
            tried = undeclared(releases, family, uplink)
            if tried and (chains := chains_in(place.table, place.everything())):
                way = bypass(chains, place.path(self.chain), tried)
                if way and not (way.rule is None and way.call == self.chain):  # which `in_kernel` sees
                    found[family] = way
        return found

    def ask_first(self, releases: Sequence[Release]) -> None:
        """Have the chain asked before each rule that lets pass what these releases do not declare."""
        for __ in range(CALLS):
            for family, way in self.passing(releases).items():
                place = self.places[family]
                place.restore(way.mend(place.table, chains_in(place.table, place.everything())))

    def ensure(self, wanted: Rules, releases: Sequence[Release] = (), *, check: bool) -> list[str]:
        """Put rules in place, now and for every start of the host; return what had to change, one line each.

        :param releases: what they do not declare must not pass before the rules are asked
        """
        if IPV4 not in self.places:
            return []  # the notices of the preflight say so
        passing = self.passing(releases)
        wrong = "its rules differ" if not self.in_kernel(wanted) else "" if self.is_kept(wanted) else NOT_KEPT
        if not passing and not wrong:
            return []
        self.bypasses = passing or self.bypasses  # what this run has mended is told at its end
        self.wrong = "; ".join(filter(None, [wrong, self.bypass]))
        if not check:
            if wanted[IPV6] and IPV6 not in self.places:
                raise FirewallError("the engine does not manage ip6tables, so nothing would close the stack's IPv6")
            self.put(self.files(wanted))
            for family in self.places:
                if not wanted[family]:
                    self.drop(family)
            if passing:
                self.ask_first(releases)
            self.enable()
        return [self.told(wanted)]

    def told(self, wanted: Rules) -> str:
        """Say that the rules become these."""
        rules = f"firewall {self.chain}: {sum(map(len, wanted.values()))} rules"
        return f"{rules}, asked first again, because {self.bypass}" if self.bypass else rules

    def files(self, wanted: Rules) -> dict[str, str]:
        """Return the files that put the rules in place: a script, and one file of rules for each IP family."""
        files = {"restore": SCRIPT.format(what=f"stack {self.stack}")}
        for family, one in self.places.items():
            if wanted[family]:
                name = f"rules{family.version}"
                values = {**one._asdict(), "wait": " ".join(WAIT), "chain": self.chain}
                values |= {"comment": iptables.COMMENT, "decides": iptables.DECIDES}
                files[name] = iptables.restore_text(self.chain, one.possible(wanted[family]), one.table)
                files["restore"] += PART.format(**values, rules=self.directory / name)
                guard = guards(self.chain)[family]
                files["restore"] += GUARD_PART.format(**{**values, "table": guard.table}, rule=" ".join(guard.rule))
        return files

    def is_kept(self, wanted: Rules) -> bool:
        """Tell whether the rules will be there after the next start of the host."""
        return self.are_kept(self.files(wanted))

    def drop(self, family: Family) -> None:
        """Remove the chain of one IP family, and its call."""
        self.places[family].remove(self.chain)
        program, guard = self.places[family].program, guards(self.chain)[family]
        while self.guard(program, "-C", guard) and self.guard(program, "-D", guard):
            pass

    def remove(self) -> None:
        """Remove the chains and everything that puts them back."""
        for family in self.places:
            self.drop(family)
        self.forget()


def holds(path: Path, text: str) -> bool:
    """Tell whether a file holds exactly this text."""
    return path.is_file() and path.read_bytes() == text.encode()


def systemd() -> bool:
    """Tell whether systemd starts services here."""
    return Path("/run/systemd/system").is_dir()
