"""Why a name does not resolve inside a container, or leads to an old address."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import (
    attach,
    container_of,
    is_ours,
    reconnect,
    wake,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.settings.names import NEAR, edits

WITHOUT_DNS = frozenset({"bridge", "host", "none"})  # the engine's own networks, where names don't resolve


def names_of(container: Json) -> set[str]:
    """What a container is called anywhere: its name, its short name, and its aliases on every network."""
    labels = container["labels"]
    short = {labels[key] for key in ("sse.platform.container", "com.docker.compose.service") if labels.get(key)}
    return {container["name"], *short, *(alias for one in container["networks"].values() for alias in one["aliases"])}


def names_on(facts: Json, networks: set[str], but: str) -> dict[str, str]:
    """The names that resolve on these networks, with the container behind each."""
    return {
        name: one["name"]
        for one in facts["containers"]
        if one["running"] and one["name"] != but
        for network in networks & set(one["networks"])
        for name in {one["name"], *one["networks"][network]["aliases"]} - {one["id"][:12]}
    }


def called(facts: Json, name: str, but: str) -> Json | None:
    """The container that is meant by a name: of several, one that runs, shares a network, is of the stack."""
    found = [one for one in facts["containers"] if name in names_of(one) and one["name"] != but]
    near = set((container_of(facts, but) or {"networks": {}})["networks"])

    def distance(one: Json) -> tuple[bool, bool, bool]:
        return not one["running"], not near & set(one["networks"]), not is_ours(facts, one["labels"])

    return min(found, key=distance, default=None)


def unresolved(facts: Json, way: Json) -> Finding:
    """Tell why the source of a way does not find its target's name."""
    source, name = next(one for one in facts["containers"] if one["name"] == way["source"]), way["name"]
    target = container_of(facts, way["target"]) if way["target"] else called(facts, name, source["name"])
    own: set[str] = set(source["networks"])
    custom = own - WITHOUT_DNS
    wrong = f"it can't resolve {name}"

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        return Finding(f"name-{rule}", source["name"], f"{wrong}: {why}", evidence, mend)

    if source["inside"] and source["inside"]["dns"]:
        evidence = f"127.0.0.11 inside it says: {source['inside']['dns']}"
        return found(
            "dns-silent",
            "the engine's DNS does not answer in it",
            evidence,
            docker("restart", source["name"]),
        )
    if not custom:
        where = min(set(target["networks"]) - WITHOUT_DNS, default="") if target else ""
        mode = next(iter(own), source["mode"])
        kind = "the default bridge" if mode == "bridge" else f"network {mode}"
        evidence = f"it is on {kind} only; names resolve on networks that were created, never there"
        mend = docker("network", "connect", where or "NETWORK", source["name"])
        return found("default-bridge", f"{kind} has no names", evidence, mend)
    shown = f"it is on {', '.join(sorted(own))}"
    if target is None:
        known = names_on(facts, custom, source["name"])
        near = min(known, key=lambda one: edits(name, one), default="")
        if near and edits(name, near) <= NEAR:
            evidence = f"no container is called {name}; {near} is {known[near]}"
            return found(
                "typo", f"did you mean {near}?", evidence, f"# write {near} where {name} stands in its settings"
            )
        evidence = f"no container is called {name}; on its networks there are {', '.join(sorted(known)) or 'none'}"
        return found("unknown", "nobody has that name", evidence, "docker ps -a --format '{{.Names}} {{.Networks}}'")
    if not target["running"]:
        evidence = f"{target['name']} is {target['status']} ({target['exit_code']}) {target['error']}".strip()
        why = f"{target['name']} does not run, and the engine answers for running containers only"
        return found("stopped", why, evidence, wake(target))
    shared = custom & set(target["networks"])
    if not shared:
        evidence = f"{shown}, {target['name']} on {', '.join(sorted(target['networks'])) or 'none'}"
        mend = attach(facts, min(custom), target, name if name != target["name"] else "")
        return found("not-attached", f"{target['name']} is not on its network", evidence, mend)
    network = min(shared)
    there = {*target["networks"][network]["aliases"], target["name"]} - {target["id"][:12]}
    evidence = f"on {network} {target['name']} is called {', '.join(sorted(there))}"
    given = {
        **target,
        "networks": {network: {**target["networks"][network], "aliases": sorted({*there, name} - {target["name"]})}},
    }
    return found("alias", f"{target['name']} lacks that name on {network}", evidence, *reconnect(network, given))


def misled(facts: Json, way: Json) -> Finding | None:
    """Tell that a name leads to an address which its container does not have; None where it leads right."""
    target = container_of(facts, way["target"])
    source = container_of(facts, way["source"])
    own = [one["address"] for one in target["networks"].values() if one["address"]] if target else []
    if source is None or target is None or not own or not way["addresses"] or way["addresses"][0] in own:
        return None
    address = way["addresses"][0]
    pinned = source["inside"] and source["inside"]["hosts"].get(way["name"]) == address
    other = holder(facts, address)
    what = f"{way['name']} leads to {address}, {target['name']} has {', '.join(own)}"
    if pinned:
        mend = (f"docker rm -f {source['name']} && ./sse up  # made anew with today's address",)
        return Finding("old-address", source["name"], "its /etc/hosts pins an old address", what, mend)
    who = f"{other['name']} has {address}" if other else f"nobody has {address}"
    mend = (f"docker network inspect {min(source['networks'])}  # two containers with the alias {way['name']}?",)
    return Finding("name-stolen", source["name"], f"{way['name']} is another's name, too", f"{what}; {who}", mend)


def holder(facts: Json, address: str) -> Json | None:
    """The running container that has an address."""
    for one in facts["containers"]:
        if one["running"] and any(endpoint["address"] == address for endpoint in one["networks"].values()):
            return one
    return None


def old_addresses(facts: Json) -> Iterator[Finding]:
    """See that nobody goes on with an address that its peer had before: by /etc/hosts, or nginx since its start."""
    for source in facts["containers"]:
        if not source["inside"] or source["mode"] == "host":
            continue
        for name, address in source["inside"]["hosts"].items():
            target = called(facts, name, source["name"])
            if target and target["running"] and set(target["networks"]) & set(source["networks"]):
                way = {"source": source["name"], "target": target["name"], "name": name, "addresses": [address]}
                finding = misled(facts, way)
                if finding:
                    yield finding
    for one in facts["refused_upstreams"]:
        if holder(facts, one["address"]) is None and any_network_holds(facts, one["container"], one["address"]):
            evidence = (
                f"its log: {one['error']} at {one['address']}:{one['port']}, and no container has that address now"
            )
            mend = (docker("exec", one["container"], "nginx", "-s", "reload"),)
            wrong = "nginx resolved an upstream's name at its start and keeps the old address"
            yield Finding("old-address", one["container"], wrong, evidence, mend)


def any_network_holds(facts: Json, container: str, address: str) -> bool:
    """Tell whether an address is of a network that the container is on."""
    found = container_of(facts, container)
    networks = [one for one in facts["networks"] if found and one["name"] in found["networks"]]
    return any(
        ipaddress.ip_address(address) in ipaddress.ip_network(subnet) for one in networks for subnet in one["subnets"]
    )


RULES = (old_addresses,)
