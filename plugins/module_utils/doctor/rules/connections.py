"""Why a connection between two containers fails: told apart by what is seen at both ends and between them."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.deploy.firewall_rules import chain_name
from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import (
    UNDECLARED,
    addresses_inside,
    attach,
    container_of,
    device_of,
    health,
    reconnect,
    wake,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import names
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.engine import restart
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.machine import as_dict
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback

HOST = "host"
BRIDGE_PATH = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD")]
LEAVING = [("raw", "OUTPUT"), ("mangle", "OUTPUT"), ("filter", "OUTPUT")]
ENTERING = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("filter", "INPUT")]


def declared(facts: Json) -> Iterator[Finding]:
    """See that every connection which the newest releases declare comes about."""
    if facts["releases_error"]:
        yield Finding("releases", "releases", "they can't be read", facts["releases_error"], ("./sse up",))
    for way in facts["edges"]:
        finding = explain(facts, way)
        if finding:
            yield finding


def explain(facts: Json, way: Json) -> Finding | None:
    """Tell why a way fails; None where it works."""
    if way["failed"] == "resolve":
        return names.unresolved(facts, way)
    return (names.misled(facts, way) if way["target"] else None) or (unreached(facts, way) if way["failed"] else None)


def unreached(facts: Json, way: Json) -> Finding:
    """Tell why nothing answers at an address that was tried."""
    address, port = way["addresses"][0], way["port"]
    target = names.holder(facts, address) or container_of(facts, way["target"])
    peer = f"{way['name']}:{port}"
    wrong = f"it can't connect to {peer}"

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        return Finding(rule, way["source"], f"{wrong}: {why}", f"{address}:{port}: {way['error']}; {evidence}", mend)

    if target is None:
        return found("no-such-address", "nobody has that address", "no running container has it", "docker ps -a")
    name = target["name"]
    if not target["running"]:
        return found("stopped", f"{name} does not run", f"it is {target['status']}", wake(target))
    source = container_of(facts, way["source"])
    own = set(source["networks"]) if source else set(target["networks"])
    shared = own & set(target["networks"])
    if not shared:
        evidence = f"{way['source']} is on {', '.join(sorted(own))}, {name} on {', '.join(sorted(target['networks']))}"
        mend = attach(facts, min(own - names.WITHOUT_DNS, default="NETWORK"), target)
        return found("not-same-network", f"{name} is not on its network", evidence, mend)
    deaf = listening(target, port)
    if deaf:
        rule, why, mend = deaf
        return found(rule, why, health(target), *mend)
    rule = between(facts, source, target, port)
    if rule:
        return found("firewall", "a firewall rule stops it", rule.shown, allow(facts, rule))
    for side in (one for one in (source, target) if one):
        rule = within(side, source, target, port)
        if rule:
            return found(
                "firewall",
                f"a firewall rule inside {side['name']} stops it",
                rule.shown,
                f"nsenter -t {side['pid']} -n {rule.removal}",
            )
    network = min(shared)
    has = addresses_inside(target)
    if has is not None and address not in has:
        return found(
            "stale-endpoint", f"{name} has lost its interface", f"it has {', '.join(has)}", *reconnect(network, target)
        )
    if target["health"] in {"unhealthy", "starting"}:
        return found("unhealthy", f"{name} is {target['health']}", health(target), docker("logs", "--tail=50", name))
    evidence = f"{name} listens on {port}, {health(target)}, and no rule is in the way"
    return found("unexplained", "it listens and does not answer", evidence, docker("logs", "--tail=50", name))


def allow(facts: Json, rule: iptables_rules.Rule) -> str:
    """What lets pass what a rule stops: a policy among the engine's rules stops it only because those are gone."""
    if rule.chain == chain_name(facts["stack"]):
        return UNDECLARED
    return restart(facts) if rule.policy and rule.program == iptables_rules.IPTABLES else rule.removal


def listening(target: Json, port: int) -> tuple[str, str, tuple[str, ...]] | None:
    """Tell how a container fails to listen on a port: rule, reason, mend; None where it listens, or can't be seen."""
    if target["inside"] is None:
        return None
    name = target["name"]
    places = {address for address, number in target["inside"]["listening"] if number == port}
    if places and all(map(is_loopback, places)):
        mend = (f"# make {name} listen on 0.0.0.0:{port}; inside a container that is its own network only",)
        return "listens-on-loopback", f"{name} listens on {', '.join(sorted(places))} only", mend
    if places:
        return None
    logs = docker("logs", "--tail=50", name)
    if target["health"] in {"unhealthy", "starting"}:
        return "unhealthy", f"{name} is {target['health']} and does not listen on {port}", (logs,)
    others = sorted({number for _, number in target["inside"]["listening"]})
    instead = f"it listens on {', '.join(map(str, others))}" if others else "it listens on nothing"
    return "not-listening", f"{name} does not listen on {port}; {instead}", (logs,)


def between(facts: Json, source: Json | None, target: Json, port: int) -> iptables_rules.Rule | None:
    """The host's rule that stops packets, or their answers, between two containers or from the host."""
    if not facts["rules"]:
        return None
    rules = iptables_rules.parse(facts["rules"])
    for network, endpoint in target["networks"].items():
        device = device_of(facts, network)
        if source is None:
            packet = iptables_rules.Packet("", endpoint["address"], port, leaves=device)
            there, back = LEAVING, ENTERING
        elif network in source["networks"]:
            own = source["networks"][network]["address"]
            packet = iptables_rules.Packet(own, endpoint["address"], port, enters=device, leaves=device)
            there = back = BRIDGE_PATH
        else:
            continue
        rule = rules.hindrance(there, packet) or rules.hindrance(back, packet.answer())
        if rule:
            return rule
    return None


def within(side: Json, source: Json | None, target: Json, port: int) -> iptables_rules.Rule | None:
    """The rule in a container's own namespace that stops packets or their answers."""
    text: str = as_dict(side["inside"]).get("rules", "")
    if not text:
        return None
    rules = iptables_rules.parse(text)
    for network, endpoint in target["networks"].items():
        own = source["networks"][network]["address"] if source and network in source["networks"] else ""
        packet = iptables_rules.Packet(own, endpoint["address"], port)
        there, back = (LEAVING, ENTERING) if side is source else (ENTERING, LEAVING)
        rule = rules.hindrance(there, packet) or rules.hindrance(back, packet.answer())
        if rule:
            return rule
    return None


RULES = (declared,)
