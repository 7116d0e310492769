# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a connection to a container fails: each reason shows at one of the two ends, or between them."""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from ansible_collections.sse.platform.plugins.module_utils.deploy import firewall_rules
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import KERNEL, SHARED
from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules import names
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, Facts, TriedConnection
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.blocking import ENTERING, FORWARDED, LEAVING, blocked
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Chain, Packet, Rules
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback


def declared_connect(facts: Facts) -> Iterator[Finding]:
    """Check that each connection that the newest releases declare can be made."""
    if facts["releases_error"]:
        damaged = facts["damaged_release"]  # `up` refuses it, too
        away = (f"mv {quote(damaged)} {quote(f'{damaged}.damaged')}",) if damaged else ()
        yield Finding("releases", "releases", "they cannot be read", facts["releases_error"], (*away, "./sse up"))
    disturbed = lookup.disturbed(facts) | lookup.cut_off(facts)
    for tried in facts["connections"]:
        finding = explain(facts, tried) if disturbed.isdisjoint({tried.source, tried.target}) else None
        if finding:
            yield finding


def explain(facts: Facts, tried: TriedConnection) -> Finding | None:
    """Tell why a connection fails; None where it works."""
    if tried.failed == "resolve":
        return names.unresolved(facts, tried)
    source, target = lookup.container(facts, tried.source), lookup.container(facts, tried.target)
    if source and target and tried.addresses:
        finding = names.misled(facts, source, target, tried.name, tried.addresses[0])
        if finding:
            return finding
    return unreached(facts, tried) if tried.failed else None


def unreached(facts: Facts, tried: TriedConnection) -> Finding:
    """Tell why nothing answers at an address that was tried."""
    address, port = tried.addresses[0], tried.port or 0
    target = lookup.container_at(facts, address) or lookup.container(facts, tried.target)

    def found(rule: str, why: str, evidence: str, *mend: str) -> Finding:
        wrong = f"it cannot connect to {tried.name}:{port}: {why}"
        return Finding(rule, tried.source, wrong, f"{address}:{port}: {tried.error}; {evidence}", mend)

    if target is None:
        why = "no container has this address"
        return found("no-such-address", why, "no running container has it", "docker ps -a")
    name = target["name"]
    if not target["running"]:
        return found("stopped", f"{name} does not run", f"its status is {target['status']}", commands.start(target))
    source = lookup.container(facts, tried.source)
    own = set(source["networks"] if source else target["networks"])
    shared = own & set(target["networks"])
    if not shared:
        evidence = f"{tried.source} is on {lookup.listed(own)}, and {name} is on {lookup.listed(target['networks'])}"
        mend = commands.attach(facts, min(own - names.WITHOUT_DNS, default="NETWORK"), target)
        return found("not-same-network", f"it shares no network with {name}", evidence, mend)
    for one in facts["host_side"]:
        # Within a bridge, packets need no address of the host.
        if (one.rule == "bridge-down" or source is None) and one.subject in {*own, KERNEL, SHARED}:
            return found(one.rule, f"{one.subject}: {one.wrong}", one.evidence, *one.mend)
    silent = not_listening(target, port)
    if silent:
        return found(*silent)
    for owner, rules, packet, there, back in paths(facts, source, target, port):
        rule = blocked(rules, packet, there, back)
        if rule is None:
            continue
        where = f" inside {owner['name']}" if owner else ""
        mend = f"nsenter -t {owner['pid']} -n {rule.removal}" if owner else allow(facts, rule)
        return found("firewall", f"a firewall rule{where} blocks the connection", rule.shown, mend)
    actual = lookup.addresses_inside(target)
    if actual is not None and address not in actual:
        mends = commands.reconnect(min(shared), target)
        return found("stale-endpoint", f"{name} has lost its network interface", f"it has {', '.join(actual)}", *mends)
    if target["health"] in {"unhealthy", "starting"}:
        return found("unhealthy", f"{name} is {target['health']}", health(target), commands.show_log(name))
    evidence = f"{name} listens on {port}, {health(target)}, and no firewall rule blocks it"
    return found("unexplained", f"{name} listens, but it does not answer", evidence, commands.show_log(name))


def health(container: Container) -> str:
    """Describe the health of a container."""
    log = f" ({container['health_log']})" if container["health_log"] and container["health"] != "healthy" else ""
    return f"{container['name']} is {container['health'] or container['status']}{log}"


def not_listening(target: Container, port: int) -> tuple[str, str, str, str] | None:
    """Tell how a container fails to listen on a port (rule, reason, evidence, mend); None where it listens, or may."""
    if target["inside"] is None:
        return None
    name, listening = target["name"], target["inside"]["listening"]
    addresses = {address for address, number in listening if number == port}
    if addresses and all(map(is_loopback, addresses)):
        mend = f"# make {name} listen on 0.0.0.0:{port}: only the networks of the container reach it"
        return "listens-on-loopback", f"{name} listens on {lookup.listed(addresses)} only", health(target), mend
    if addresses:
        return None
    if target["health"] in {"unhealthy", "starting"}:
        why = f"{name} is {target['health']}, and it does not listen on port {port}"
        return "unhealthy", why, health(target), commands.show_log(name)
    others = ", ".join(map(str, sorted({number for __, number in listening})))
    why = f"{name} does not listen on port {port}; it listens on {others or 'no port'}"
    return "not-listening", why, health(target), commands.show_log(name)


def allow(facts: Facts, rule: iptables_rules.Rule) -> str:
    """Return the command that lets a blocked packet pass."""
    # A policy among the engine's own rules blocks only because these rules are gone.
    by_engine = rule.policy and rule.program == iptables_rules.IPTABLES
    return commands.engine(facts, "restart") if by_engine else firewall_rules.let_pass(rule, facts["stack"])


def paths(
    facts: Facts, source: Container | None, target: Container, port: int
) -> Iterator[tuple[Container | None, Rules | None, Packet, list[Chain], list[Chain]]]:
    """List where a packet passes: the container whose rules it meets (None: the host), rules, packet and chains."""
    addresses = {network: one["address"] for network, one in source["networks"].items()} if source else {}
    packets = {
        network: Packet(addresses.get(network, ""), endpoint["address"], port)
        for network, endpoint in target["networks"].items()
    }
    for network, packet in packets.items():
        bridge = lookup.bridge(facts, network)
        if source is None:
            own = lookup.gateway(facts, network)
            yield None, facts["rules"], packet._replace(source=own, leaves=bridge), LEAVING, ENTERING
        elif network in addresses:
            yield None, facts["rules"], packet._replace(enters=bridge, leaves=bridge), FORWARDED, FORWARDED
    for owner, there, back in ((source, LEAVING, ENTERING), (target, ENTERING, LEAVING)):
        if owner and owner["inside"]:
            for packet in packets.values():
                yield owner, owner["inside"]["rules"], packet, there, back


RULES = (declared_connect,)
