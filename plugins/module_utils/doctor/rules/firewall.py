# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The firewall's rules in the kernel: those of the engine, and those of the stack."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import SHARED
from ansible_collections.sse.platform.plugins.module_utils.doctor import commands
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import DoctorNetwork, Facts
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import uplink
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4

OUTSIDE = "198.51.100.1"  # TEST-NET-2 (RFC 5737): stands for whatever is not on this host


def engine_rules_exist(facts: Facts) -> Iterator[Finding]:
    """Check that the engine's rules are in the kernel: flushing, firewalld or a restored file remove them."""
    engine, rules = facts["host"]["engine"], facts["rules"]
    switched_off = (facts["host"]["daemon_json"] or {}).get("iptables") is False
    if engine is None or rules is None or switched_off or "nftables" in str(facts["info"].get("FirewallBackend")):
        return
    # Where the engine's rules are in both sets, the set of the command iptables has the newest.
    rules = rules.only(min(rules.programs("nat", "DOCKER"), key=len, default=iptables_rules.IPTABLES))
    known: set[str] = set()  # what a run has written down comes back without a restart
    for one in facts["host_side"]:
        if one.rule == "rules-gone":
            known.add(one.subject)
            yield Finding("rules-flushed", one.subject, one.wrong, one.evidence, one.mend, one.subject != SHARED)
    mend = tuple(commands.restart_engine(facts))
    fixable = engine["managed"] and engine["live_restore"]
    wrong = "firewall rules of the Docker Engine are missing: published ports and connections to the outside fail"
    chains = (("nat", "DOCKER"), ("filter", "DOCKER"), ("filter", "DOCKER-USER"))
    missing = [f"no chain {table} {chain}" for table, chain in chains if not rules.programs(table, chain)]
    jumps = {
        one.chain for chain in ("PREROUTING", "OUTPUT") for one in rules.of("nat", chain) if one.target == "DOCKER"
    }
    missing += [f"no jump from nat {chain} to DOCKER" for chain in ("PREROUTING", "OUTPUT") if chain not in jumps]
    if missing:
        if SHARED not in known:
            yield Finding("rules-flushed", "iptables", wrong, ", ".join(missing), mend, fixable)
        return
    for network in facts["networks"]:
        if (
            network["name"] not in known
            and network["driver"] == "bridge"
            and not network["internal"]
            and network["endpoints"]
        ):
            missing = missing_of_network(facts, rules, network)
            if missing:
                yield Finding("rules-flushed", network["name"], wrong, ", ".join(missing), mend, fixable)


def missing_of_network(facts: Facts, rules: iptables_rules.Rules, network: DoctorNetwork) -> list[str]:
    """List the engine's rules that a network and the published ports of its containers need, and that are missing."""
    hidden = iptables_rules.masqueraded(rules)
    subnets = [one for one in network["subnets"] if ":" not in one] if network["masquerade"] else []
    missing = [f"no MASQUERADE of {one}" for one in subnets if one not in hidden]
    leaving = iptables_rules.Packet("", OUTSIDE, enters=network["device"], leaves=uplink(facts["host"]["routes"]))
    stopped = rules.hindrance([("filter", "FORWARD")], leaving)
    if stopped and stopped.policy:
        missing.append(f"no ACCEPT of what comes from {network['device']}")
    rewritten = iptables_rules.published(rules)
    return missing + [
        f"no DNAT of {address}:{port} to {container['name']}"
        for container in facts["containers"]
        if container["running"] and network["name"] == next(iter(container["networks"]), "")
        for address, port, __ in container["published"]
        if ":" not in address and ("" if address == IPV4.wildcard else address, port) not in rewritten
    ]


def one_set_of_rules(facts: Facts) -> Iterator[Finding]:
    """Check that the engine's rules are in that one of the kernel's two sets that the command iptables shows."""
    shown_by = facts["rules"].programs("nat", "DOCKER") if facts["rules"] and facts["host"]["engine"] else []
    for other in shown_by:
        if other == iptables_rules.IPTABLES:
            continue
        evidence = f"chain nat DOCKER is shown by {' and by '.join(shown_by)}"
        if len(shown_by) == 1:
            wrong = "it uses another rule set than when the engine started, so the engine cannot publish any port"
            mend = (f"update-alternatives --set iptables /usr/sbin/{other}",)
        else:
            wrong = "the engine's rules are in both rule sets of the kernel: the old set blocks what it does not know"
            mend = (
                f"{other}-save >/root/{other}.rules  # the next commands remove all rules of that set",
                f"{other} -P FORWARD ACCEPT",
                *(f"{other} -t {table} {option}" for table in ("filter", "nat") for option in ("-F", "-X")),
            )
        yield Finding("iptables-mix", "iptables", wrong, evidence, mend)


def stack_rules_exist(facts: Facts) -> Iterator[Finding]:
    """Check that the stack firewall is in place: what flushes the engine's rules empties its chain, too."""
    own = facts["firewall"]
    if own and not own.in_place:
        fixable = bool(own.script) and not own.bypass
        mend = f"sh {own.script}" if fixable else "./sse up"
        wrong = "the stack firewall is not in place: containers may make connections that nothing declares"
        evidence = own.bypass or (
            f"chain {own.chain} is missing, or no rule leads to it before one that decides about every packet, "
            "or it differs from the newest releases"
        )
        if not own.guarded:
            evidence += "; in table raw, nothing keeps containers from servers on the host's 127.0.0.1"
        yield Finding("firewall-open", own.chain, wrong, evidence, (mend,), fixable)


RULES = (engine_rules_exist, one_set_of_rules, stack_rules_exist)
