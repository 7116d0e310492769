# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the engine keeps on the host for the networks of a stack: compared with what is there, and put back.

A bridge has its address and is up, the kernel forwards, and rules of iptables lead in and out. The engine writes all
that when it starts or makes a network, and never looks again: who takes a part of it away cuts containers off, and the
engine says that all is well.

What a bridge needs is in the engine's own description of the network. What else the engine writes differs from version
to version, so each run writes down what there is at its end, in ``host-side.json``. It holds for this engine with this
configuration, and for these very networks.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.engine import daemon
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import networks_of
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import engine_rules, iptables, iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.engine_facts import describe_networks
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import interfaces, links
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model.drift_report import MEND
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import (
    FAMILIES,
    IPV4,
    IPV6,
    WILDCARDS,
    Family,
    of,
)
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import InspectedNetwork, ListedContainer
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Rule

SHARED, KERNEL = "iptables", "kernel"  # the subjects of what no network has for itself
FILE = "host-side.json"
FORMAT = 3
SHOWN = 2  # rules in one line; a flush takes dozens
SECONDS = 30.0  # for one command
SETTINGS = Path("/proc/sys")
FORWARDS = {IPV4: "net/ipv4/ip_forward", IPV6: "net/ipv6/conf/all/forwarding"}
# What the engine switches on for all bridges, and for one. A value that differs from the one after a run was changed.
OF_KERNEL = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
OF_BRIDGE = (
    *("net/ipv4/conf/{}/forwarding", "net/ipv4/conf/{}/route_localnet"),
    *("net/ipv6/conf/{}/disable_ipv6", "net/ipv6/conf/{}/forwarding"),
)
MTU = "com.docker.network.driver.mtu"
# How the engine is asked to leave the host's address off a bridge, by IP family.
NO_ADDRESS = {
    IPV4: ("com.docker.network.bridge.inhibit_ipv4", "com.docker.network.bridge.gateway_mode_ipv4"),
    IPV6: ("", "com.docker.network.bridge.gateway_mode_ipv6"),
}


class Lost(NamedTuple):
    """Something that the engine keeps on the host and that is gone, and what puts it back."""

    rule: str  # as doctor calls it
    subject: str  # a network, or the part of the host that all networks need
    wrong: str
    evidence: str
    mend: tuple[str, ...]  # commands for a shell, in order

    @property
    def kind(self) -> str:
        """What it is a part of, as drift calls it."""
        return "host" if self.subject in {SHARED, KERNEL} else "network"

    @property
    def line(self) -> str:
        """What is wrong, in one line."""
        return f"{self.kind} {self.subject}: {self.wrong}"

    def finding(self) -> Finding:
        """Return it as a finding that a run mends."""
        return Finding(self.kind, self.subject, self.wrong, self.evidence, MEND)


class Bridge(NamedTuple):
    """A network of the stack, as it should be on the host."""

    network: str
    id: str
    device: str
    subnets: tuple[str, ...]
    gateways: tuple[str, ...]  # with the length of their prefix
    mtu: str = ""  # bytes; empty where the engine decides


class Kept(TypedDict):
    """What a run has written down."""

    format: int
    engine: str  # which engine wrote it: a hash of its version and of its configuration
    devices: dict[str, str]  # bridge -> id of its network
    numbers: dict[str, str]  # bridge -> its number in the kernel, by which the engine removes it
    containers: dict[str, str]  # address -> id of the container that had it
    programs: dict[str, str]  # IP version -> path of its iptables
    chains: dict[str, list[list[str]]]  # by IP version: table and name
    rules: dict[str, list[list[str]]]  # by IP version: table, and the rule as iptables lists it
    settings: dict[str, str]


class HostSide:
    """What the engine keeps on this host for the networks of one stack."""

    def __init__(self, engine: Engine, stack: str, state_directory: str) -> None:
        """Ask the engine for the networks of a stack, and who is on them; raises EngineError."""
        self.path = Path(state_directory) / FILE
        listing: list[InspectedNetwork] = engine.ask(engine.questions.networks) or []
        containers: list[ListedContainer] = engine.ask(engine.questions.containers) or []
        version = engine.ask(engine.questions.version)
        self.options = options_of_engine()
        self.engine = signature(version["Version"] if version else "", self.options)
        self.listed: dict[str, iptables_rules.Rules | None] = {}  # by program
        self.bridges = list(bridges(listing, stack))
        self.running, self.published = served(containers, {one.network for one in self.bridges})
        self.about = engine_rules.Bridges(
            frozenset(one.device for one in self.bridges), tuple(net for one in self.bridges for net in one.subnets)
        )

    def lost(self) -> list[Lost]:
        """Return what is gone, in the order in which it is put back."""
        kept = self.read()
        rules = [one for family in self.families for one in self.lost_rules(kept, family)] if kept else []
        return [*self.lost_settings(kept), *lost_of_bridges(self.bridges, kept["numbers"] if kept else {}), *rules]

    def mend(self, *, check: bool) -> list[str]:
        """Put back what is gone; return one line for each part, in check mode of what would be put back.

        :raises EngineError: a command fails
        """
        lost = self.lost()
        if lost and not check:
            put_back(lost)
            self.listed.clear()
            # A bridge that is new has its switches only now. And where somebody changed rules meanwhile, those that are
            # to come behind others have another place.
            if failed := put_back(self.lost()):
                raise EngineError(failed)
            self.listed.clear()
        return [one.line for one in lost]

    def listing(self, program: str) -> iptables_rules.Rules | None:
        """Return all rules that an iptables shows, read once; None where it can't."""
        if program not in self.listed:
            self.listed[program] = listing_of(program)
        return self.listed[program]

    @property
    def families(self) -> list[Family]:
        """The IP families of the stack's networks."""
        return [one for one in FAMILIES if any(of(subnet) is one for subnet in self.about.subnets)]

    def read(self) -> Kept | None:
        """Return what the last run wrote down; None where it does not hold for this engine."""
        try:
            kept = cast("Kept", json.loads(self.path.read_text()))
            return kept if kept["format"] == FORMAT and kept["engine"] == self.engine else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def keep(self) -> None:
        """Write down what there is. What an earlier run has seen, and somebody took away since, stays in it.

        It is no reason for a run to fail: without it, less is found later.
        """
        before, devices = self.read(), {one.device: one.id for one in self.bridges}
        kept: Kept = {
            "format": FORMAT,
            "engine": self.engine,
            "devices": devices,
            "containers": self.running,
            "numbers": {one.name: str(one.number) for one in links() if one.name in devices},
            "programs": {},
            "chains": {},
            "rules": {},
            "settings": self.settings_there() | (self.still(before)["settings"] if before else {}),
        }
        for family in self.families:
            key = str(family.version)
            program = variant(iptables.program(family))
            if (listed := self.listing(program)) is None:
                if before and key in before["rules"]:
                    kept["programs"][key], kept["chains"][key] = before["programs"][key], before["chains"][key]
                    kept["rules"][key] = before["rules"][key]
                continue
            chains, rules = engine_rules.written_for(listed, self.about)
            earlier = self.rules_kept(before, family, listed) if before else []
            kept["programs"][key], kept["chains"][key] = program, [list(one) for one in chains]
            kept["rules"][key] = [[one.table, f"-A {one.chain} {one.text}"] for one in joined(earlier, rules)]
        with contextlib.suppress(OSError):
            if before != kept:
                write_file(self.path, json.dumps(kept, indent=1) + "\n")

    def still(self, kept: Kept) -> Kept:
        """Return what was written down without what belonged to networks that are no more."""
        gone = {name for name, key in kept["devices"].items() if key not in {one.id for one in self.bridges}}
        settings = {path: value for path, value in kept["settings"].items() if gone.isdisjoint(path.split("/"))}
        return {**kept, "settings": settings}

    def rules_kept(self, kept: Kept, family: Family, listed: iptables_rules.Rules) -> list[Rule]:
        """Return the rules of an IP family that were written down and are still needed.

        :param listed: those that are there
        """
        ids = {one.device: one.id for one in self.bridges}
        known = {device for device, key in kept["devices"].items() if ids.get(device) == key}
        about = engine_rules.Bridges(
            frozenset(known), tuple(net for one in self.bridges if one.device in known for net in one.subnets)
        )
        rules = [iptables_rules.parse_rule(table, line) for table, line in kept["rules"].get(str(family.version), [])]
        # A container that was made anew has got rules of its own.
        running = {address for address, id_ in self.running.items() if kept["containers"].get(address) == id_}
        moved = engine_rules.moved(self.published, self.running, listed)
        published = {each: on_host for each, on_host in self.published.items() if each not in moved}
        return [
            one
            for one in rules
            if engine_rules.is_of_engine(one)  # earlier versions wrote down more
            and (
                engine_rules.is_shared(one)
                or (engine_rules.is_about(one, about) and engine_rules.serves(one, about, running, published))
            )
        ]

    def lost_rules(self, kept: Kept, family: Family) -> Iterator[Lost]:
        """Return the rules of the engine that are gone, together for each network."""
        program = kept["programs"].get(str(family.version), "")
        if (listed := self.listing(program)) is None:
            return
        wanted = self.rules_kept(kept, family, listed)
        mender = engine_rules.Mender(called(program), listed, wanted)
        chains = [(table, name) for table, name in kept["chains"].get(str(family.version), [])]
        commands: dict[str, list[str]] = {SHARED: [line for one in chains for line in mender.chain(one)]}
        shown: dict[str, list[str]] = {
            SHARED: [f"chain {line.split()[3]} {line.split()[5]}" for line in commands[SHARED]]
        }
        gone = [one for one in engine_rules.missing(wanted, listed) if not is_there(program, one)]
        for rule in sorted(gone, key=lambda one: self.subject(one) != SHARED):
            commands.setdefault(self.subject(rule), []).append(mender.rule(rule))
            shown.setdefault(self.subject(rule), []).append(rule.shown)
        for subject, texts in shown.items():
            if texts:
                wrong = f"{counted(len(texts))} of the engine {'is' if len(texts) == 1 else 'are'} gone: {few(texts)}"
                evidence = f"{called(program)}-save does not list {'it' if len(texts) == 1 else 'them'}"
                yield Lost("rules-gone", subject, wrong, evidence, tuple(commands[subject]))

    def subject(self, rule: Rule) -> str:
        """Return the network that a rule is about; `SHARED` for a rule that all need."""
        for one in self.bridges:
            if engine_rules.is_about(rule, engine_rules.Bridges(frozenset({one.device}), one.subnets)):
                return one.network
        return SHARED

    def lost_settings(self, kept: Kept | None) -> Iterator[Lost]:
        """Return the switches of the kernel that the engine had set in another way."""
        wanted = self.still(kept)["settings"] if kept else {}
        if IPV4 in self.families and self.options.get("ip-forward") is not False:
            wanted = {FORWARDS[IPV4]: "1", **wanted}
        network = {one.device: one.network for one in self.bridges}
        there = {path: read(SETTINGS / path).strip() for path in wanted}
        off = {family for family, path in FORWARDS.items() if there.get(path) == "0"}
        for path, value in wanted.items():
            if there[path] in {"", value}:  # empty: the kernel has no such switch
                continue
            device = next((one for one in path.split("/") if one in network), "")
            if device and path.endswith("/forwarding") and of_path(path) in off:
                continue  # it follows the one of the host
            name, mend = path.replace("/", "."), (f"echo {value} >{SETTINGS / path}",)
            wrong = f"{name} is {there[path]}, and the engine needs {value}"
            rule = "bridge-setting" if device else "ip-forward" if path in FORWARDS.values() else "bridge-nf"
            yield Lost(rule, network.get(device, KERNEL), wrong, str(SETTINGS / path), mend)

    def settings_there(self) -> dict[str, str]:
        """Return the switches of the kernel that the engine has set, with their values."""
        paths = [FORWARDS[one] for one in self.families] + (list(OF_KERNEL) if self.bridges else [])
        found = {path: value for path in paths if (value := read(SETTINGS / path).strip()) == "1"}
        for one in self.bridges:
            families = {of(subnet) for subnet in one.subnets}
            mine = [text.format(one.device) for text in OF_BRIDGE if of_path(text) in families]
            found |= {path: value for path in mine if (value := read(SETTINGS / path).strip())}
        return found


def put_back(lost: Iterable[Lost]) -> str:
    """Put back what is gone; return why a part of it cannot be, empty where all is there."""
    for one in lost:
        for command in one.mend:
            if error := ran(command):
                return (
                    f"{one.line}. It could not be put back: `{command}` says {error!r}. Mend that, or restart the "
                    "engine, which writes it anew at its start, and run this again."
                )
    return ""


def of_path(path: str) -> Family:
    """Return the IP family of a switch of the kernel."""
    return IPV6 if path.startswith("net/ipv6/") else IPV4


def options_of_engine() -> dict[str, Any]:
    """Return the options that the engine was started with, and those of its configuration file."""
    words = daemon.command_line(daemon.dockerd_pid())
    return {**(daemon.configuration(daemon.configuration_file(words)) or {}), **daemon.flags(words)}


def signature(version: str, options: dict[str, Any]) -> str:
    """Tell engines apart that may write other rules."""
    return hashlib.sha256(json.dumps([version, options], sort_keys=True, default=str).encode()).hexdigest()[:16]


def bridges(listing: Iterable[InspectedNetwork], stack: str) -> Iterator[Bridge]:
    """Describe the networks of a stack that have a bridge on the host."""
    for network in listing:
        [fact] = describe_networks([network], [])
        if fact["driver"] != "bridge" or fact["labels"].get(f"{LABEL}stack") != stack:
            continue
        pools = [(IPV4, fact["subnet"], fact["gateway"])]
        pools += [(IPV6, fact["ipv6"]["subnet"], fact["ipv6"]["gateway"])] if fact["ipv6"] else []
        chosen = network["Options"] or {}
        gateways = [
            f"{gateway}/{subnet.partition('/')[2]}"
            for family, subnet, gateway in pools
            if gateway and not any(chosen.get(one) in {"true", "isolated"} for one in NO_ADDRESS[family])
        ]
        yield Bridge(
            fact["name"], fact["id"], fact["device"], tuple(fact["subnets"]), tuple(gateways), chosen.get(MTU, "")
        )


def served(
    containers: Iterable[ListedContainer], networks: Collection[str]
) -> tuple[dict[str, str], engine_rules.Published]:
    """Return who on these networks has which address, here or elsewhere, by its id, and its published ports."""
    running: dict[str, str] = {}
    published: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for one in containers:
        joined = networks_of(one)
        if joined.keys().isdisjoint(networks):
            continue
        own = {text for end in joined.values() for text in (end["IPAddress"], end["GlobalIPv6Address"]) if text}
        running |= dict.fromkeys(sorted(own), one["Id"])
        for port in one["Ports"] or []:
            if number := port.get("PublicPort"):
                host = "" if port.get("IP", "") in WILDCARDS else port.get("IP", "")
                for address in own:
                    published.setdefault((address, port["PrivatePort"]), set()).add((host, number))
    return running, published


def lost_of_bridges(present: Sequence[Bridge], numbers: Mapping[str, str]) -> Iterator[Lost]:
    """Return which bridges are gone or down, and which addresses of the host are not on them.

    :param numbers: that the bridges had in the kernel
    """
    up = {one.name: one.up for one in links()}
    found: dict[str, list[str]] = {}
    for family in FAMILIES:
        for each in interfaces(family):
            found.setdefault(each["name"], []).extend(each["addresses"])
    for one in present:
        if one.device not in up:
            mtu = f" mtu {one.mtu}" if one.mtu else ""
            add = f"name {one.device}{mtu} type bridge"
            number = numbers.get(one.device, "")
            again = f"ip link add index {number} {add} || " if number else ""  # another one may have it by now
            mend = (f"{again}ip link add {add}", f"ip link set {one.device} up")
            mend += tuple(put_address(one.device, gateway) for gateway in one.gateways)
            evidence = f"the host has no interface {one.device}"
            yield Lost("bridge-gone", one.network, f"its bridge {one.device} is gone", evidence, mend)
            continue
        if not up[one.device]:
            wrong = f"its bridge {one.device} is down"
            evidence = f"the interface {one.device} has not the flag UP"
            yield Lost("bridge-down", one.network, wrong, evidence, (f"ip link set {one.device} up",))
        has = {ipaddress.ip_interface(text) for text in found.get(one.device, [])}
        for gateway in one.gateways:
            if ipaddress.ip_interface(gateway) not in has:
                wrong = f"its bridge {one.device} has lost the address {gateway}"
                evidence = f"{one.device} has {', '.join(map(str, sorted(has, key=str))) or 'no address'}"
                yield Lost("bridge-address", one.network, wrong, evidence, (put_address(one.device, gateway),))


def put_address(device: str, gateway: str) -> str:
    """Return the command that gives a bridge the address of the host."""
    return f"ip address replace {gateway} {'broadcast +' if of(gateway) is IPV4 else 'nodad'} dev {device}"


def variant(program: str) -> str:
    """Return the path of the same iptables that stays the same when somebody switches the host to another variant."""
    real = Path(program).resolve().name
    kind = next((one for one in iptables_rules.SETS if one in real), "")
    if not program or not kind or program.endswith(kind):
        return program
    return shutil.which(f"{Path(program).name}-{kind}", path=iptables.PATH) or program


def called(program: str) -> str:
    """Return what people call an iptables: without its variant where the host uses this one."""
    short = Path(program).name
    usual = shutil.which(short.partition("-")[0], path=iptables.PATH)
    return short.partition("-")[0] if usual and Path(usual).resolve() == Path(program).resolve() else short


def listing_of(program: str) -> iptables_rules.Rules | None:
    """Return all rules that an iptables shows; None where it can't."""
    with contextlib.suppress(OSError):
        return iptables_rules.parse(iptables_rules.saved(program)) if program else None
    return None


def is_there(program: str, rule: Rule) -> bool:
    """Have iptables itself look for a rule: its versions list the same rule in different ways."""
    words = shlex.split(rule.text)
    return iptables.run(program, *iptables.WAIT, "-t", rule.table, "-C", rule.chain, *words).returncode == 0


def joined(earlier: list[Rule], now: list[Rule]) -> list[Rule]:
    """Add to the rules of now those that were there before, each behind the one that it came after."""
    found = list(now)
    for number, one in enumerate(earlier):
        same = [(each.table, each.chain, each.text) for each in found]
        if (one.table, one.chain, one.text) not in same:
            known = [
                same.index(key) + 1 for each in earlier[:number] if (key := (each.table, each.chain, each.text)) in same
            ]
            found.insert(max(known, default=0), one)
    return list(dict.fromkeys(found))


def counted(number: int) -> str:
    """Say how many rules: a rule, 3 rules."""
    return "a rule" if number == 1 else f"{number} rules"


def few(texts: Sequence[str]) -> str:
    """List the first rules."""
    more = [f"and {len(texts) - SHOWN} more"] if len(texts) > SHOWN else []
    return "; ".join([*texts[:SHOWN], *more])


def ran(command: str) -> str:
    """Run a command; return its error, empty where it succeeded."""
    try:
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
            env={"PATH": iptables.PATH},
        )
    except subprocess.TimeoutExpired:
        return f"it did not end within {SECONDS:g} s"
    return done.stderr.strip() or f"exit code {done.returncode}" if done.returncode else ""
