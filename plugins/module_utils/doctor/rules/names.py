# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a name does not resolve inside a container, or leads to an old or wrong address."""

from __future__ import annotations

import difflib
import ipaddress
from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, Facts, TriedConnection
from ansible_collections.sse.platform.plugins.module_utils.host.namespace import EMBEDDED_DNS
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

WITHOUT_DNS = frozenset({"bridge", "host", "none"})  # the engine's own networks, on which it resolves no names
SIMILAR = 0.7  # of 1, as difflib counts: one wrong letter in five, or two letters exchanged
NAMES_AND_NETWORKS = "docker ps -a --format '{{.Names}} {{.Networks}}'"


def meant_by(facts: Facts, name: str, asking: str) -> Container | None:
    """Return the container that another one means by a name: of its own stack, else one that runs and is near.

    A container of another stack is never meant while the own one stands still: then it is that one that is down.
    """

    def has_name(one: Container) -> bool:
        short = (one["labels"].get(key) for key in (f"{LABEL}container", "com.docker.compose.service"))
        return name in {one["name"], *short, *(alias for each in one["networks"].values() for alias in each["aliases"])}

    source = lookup.container(facts, asking)
    near = set(source["networks"]) if source else set[str]()
    stack = source["labels"].get(f"{LABEL}stack", "") if source else facts["stack"]
    named = [one for one in facts["containers"] if one["name"] != asking and has_name(one)]

    def rank(one: Container) -> tuple[bool, ...]:
        own = bool(stack) and one["labels"].get(f"{LABEL}stack") == stack
        return not own, not one["running"], not near & set(one["networks"]), not one["ours"]

    named.sort(key=rank)
    return named[0] if named else None


def unresolved(facts: Facts, tried: TriedConnection) -> Finding:
    """Tell why a container does not find the address behind a name."""
    source, name = next(one for one in facts["containers"] if one["name"] == tried.source), tried.name
    target = lookup.container(facts, tried.target) if tried.target else meant_by(facts, name, source["name"])
    networks = set(source["networks"])
    with_dns = networks - WITHOUT_DNS

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        return Finding(f"name-{rule}", source["name"], f"it cannot resolve the name {name}: {why}", evidence, mend)

    if source["inside"] and source["inside"]["dns"]:
        evidence = f"a question to {EMBEDDED_DNS} failed: {source['inside']['dns']}"
        mend = docker("restart", source["name"])
        return found("dns-silent", "Docker's DNS server does not answer inside it", evidence, mend)
    if not with_dns:
        mode = next(iter(networks), source["mode"])
        kind = "the default bridge" if mode == "bridge" else f"network {mode}"
        evidence = f"it is only on {kind}; Docker resolves names only on networks that somebody created"
        network = min(set(target["networks"]) - WITHOUT_DNS, default="NETWORK") if target else "NETWORK"
        mend = docker("network", "connect", network, source["name"])
        return found("default-bridge", f"{kind} does not resolve names", evidence, mend)
    if target is None and (gone := declared_but_gone(facts, name)):
        evidence = "the newest release declares it, and the engine does not have it"
        return found("stopped", f"{gone} does not exist", evidence, "./sse up")
    if target is None:
        known = {
            each: one["name"]
            for one in facts["containers"]
            if one["running"] and one is not source
            for network in with_dns & set(one["networks"])
            for each in lookup.names_on(one, network)
        }
        for near in difflib.get_close_matches(name, known, 1, SIMILAR):
            evidence = f"no container is called {name}, but {known[near]} is called {near}"
            return found("typo", f"did you mean {near}?", evidence, f"# write {near} instead of {name} in its settings")
        evidence = f"these names exist on its networks: {lookup.listed(known)}"
        return found("unknown", "no container has this name", evidence, NAMES_AND_NETWORKS)
    other = target["name"]
    if not target["running"]:
        evidence = f"{other} is {target['status']} ({target['exit_code']}) {target['error']}".strip()
        why = f"{other} does not run, and Docker resolves only the names of running containers"
        return found("stopped", why, evidence, commands.start(target))
    shared = with_dns & set(target["networks"])
    if not shared:
        evidence = f"it is on {lookup.listed(networks)}, and {other} is on {lookup.listed(target['networks'])}"
        mend = commands.attach(facts, min(with_dns), target, name if name != other else "")
        return found("not-attached", f"it shares no network with {other}", evidence, mend)
    network = min(shared)
    evidence = f"on network {network}, {other} is called {lookup.listed(lookup.names_on(target, network))}"
    why = f"{other} does not have this alias on network {network}"
    return found("alias", why, evidence, *commands.reconnect(network, target, name))


def declared_but_gone(facts: Facts, name: str) -> str:
    """Return the full name of the container that should be called so and does not exist; empty where none is."""
    declared = containers_of(facts["releases"])
    return next(
        (
            full
            for full, spec in declared.items()
            if name in {spec.get("container"), *spec.get("aliases", [])} and lookup.container(facts, full) is None
        ),
        "",
    )


def misled(facts: Facts, source: Container, target: Container, name: str, address: str) -> Finding | None:
    """Tell that a name leads to an address that its container does not have; None where it leads to the right one."""
    own = [one["address"] for one in target["networks"].values() if one["address"]]
    if not own or address in own:
        return None
    evidence = f"{name} leads to {address}, but {target['name']} has {', '.join(own)}"
    if source["inside"] and source["inside"]["hosts"].get(name) == address:
        mend = f"docker rm -f {source['name']} && ./sse up  # creates it again, with the present address"
        return Finding("old-address", source["name"], "its /etc/hosts holds an old address", evidence, (mend,))
    other = lookup.container_at(facts, address)
    evidence += f"; {other['name'] if other else 'no container'} has {address}"
    mend = f"docker network inspect {min(source['networks'])}  # do two containers have the alias {name}?"
    return Finding("name-stolen", source["name"], f"the name {name} leads it to another container", evidence, (mend,))


def no_old_addresses(facts: Facts) -> Iterator[Finding]:
    """Check that nobody keeps an address that its peer had before: in /etc/hosts, or in a proxy since its start."""
    for source in facts["containers"]:
        for name, address in source["inside"]["hosts"].items() if source["inside"] else ():
            target = meant_by(facts, name, source["name"])
            if target and target["running"] and set(target["networks"]) & set(source["networks"]):
                finding = misled(facts, source, target, name, address)
                if finding:
                    yield finding
    # A container that is off its network has none of its addresses, and comes back to them.
    away = lookup.disturbed(facts)
    coming_back = {
        address
        for name, spec in containers_of(facts["releases"]).items()
        if name in away
        for address in spec["networks"].values()
    }
    for one in facts["refused_upstreams"]:
        if one.address in coming_back:
            continue
        proxy = lookup.container(facts, one.container)
        if proxy and lookup.container_at(facts, one.address) is None and is_near(facts, proxy, one.address):
            evidence = f"its log: {one.error} at {one.address}:{one.port}, and no container has that address now"
            mend = docker("exec", proxy["name"], proxy["program"], "-s", "reload")
            wrong = "it resolved the name of a server when it started, and it still uses the old address"
            yield Finding("old-address", proxy["name"], wrong, evidence, (mend,))


def is_near(facts: Facts, container: Container, address: str) -> bool:
    """Tell whether an address belongs to a network that a container is on."""
    networks = [found for name in container["networks"] if (found := lookup.network(facts, name))]
    subnets = [ipaddress.ip_network(subnet) for one in networks for subnet in one["subnets"]]
    return any(ipaddress.ip_address(address) in one for one in subnets)


RULES = (no_old_addresses,)
