"""The engine's networks: there and ours, free of conflicts, with endpoints that are real."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.deploy import preflight
from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import (
    LABEL_STACK,
    addresses_inside,
    container_of,
    ghosts,
    is_ours,
    network_of,
    reconnect,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.engine import restart, restarting
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.host import iptables_rules
from ansible_collections.sse.platform.plugins.module_utils.host.machine import as_dict
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import ETHERNET_MTU, uplink
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, connections
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker

OUTSIDE = "198.51.100.1"  # TEST-NET-2 (RFC 5737): stands for whatever is not on this host
BUILT_IN = frozenset({"bridge", "host", "none", "ingress", "docker_gwbridge"})
# What the engine gives out where nothing says otherwise (moby, ipamutils): base and size of each network.
DEFAULT_POOLS = (
    ("172.17.0.0/16", 16), ("172.18.0.0/16", 16), ("172.19.0.0/16", 16), ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16), ("172.28.0.0/14", 16), ("192.168.0.0/16", 20),
)  # fmt: skip


def asked(facts: Json) -> dict[str, Json]:
    """The networks of the stack by name: what the newest releases say, and the one that the settings ask for."""
    own: Json = {**facts["wanted"], "device": facts["wanted"]["bridge"], "internal": False}
    return {own["name"]: own} | connections.networks_of(facts["releases"])


def create(facts: Json, name: str) -> str:
    """The command that makes a network: one of the stack's just as the role network does."""
    network, limit = asked(facts).get(name), facts["wanted"]["mtu"]
    if network is None:
        return docker("network", "create", name)
    return docker(
        *("network", "create", "--driver=bridge", f"--subnet={network['subnet']}", f"--gateway={network['gateway']}"),
        *(f"--ip-range={network['ip_range']}", "--internal" if network["internal"] else ""),
        *ipv6(network.get("ipv6")),
        f"--opt=com.docker.network.bridge.name={network['device']}",
        f"--opt=com.docker.network.driver.mtu={limit}" if limit < ETHERNET_MTU else "",
        *(f"--label={LABEL_STACK}={facts['stack']}", name),
    )


def ipv6(pool: Json | None) -> tuple[str, ...]:
    """The options that give a network its IPv6."""
    named = (("--subnet", "subnet"), ("--gateway", "gateway"), ("--ip-range", "ip_range"))
    return ("--ipv6", *(f"{option}={pool[key]}" for option, key in named)) if pool else ()


def missing(facts: Json) -> Iterator[Finding]:
    """See that every network is there that a container, or the stack, needs."""
    if facts["host"]["engine"] is None:
        return
    ids, ours = {one["id"] for one in facts["networks"]}, asked(facts)
    orphans: dict[str, list[Json]] = {}
    for container in facts["containers"]:
        for name, endpoint in container["networks"].items():
            if endpoint["id"] and endpoint["id"] not in ids:
                orphans.setdefault(name, []).append(container)
    if facts["releases"] or any(is_ours(facts, one["labels"]) for one in facts["containers"]):
        for name in ours:
            if not network_of(facts, name):
                orphans.setdefault(name, [])
    for name, containers in orphans.items():
        fixable = name in ours and all(is_ours(facts, one["labels"]) for one in containers)
        mend = [] if network_of(facts, name) else [create(facts, name)]
        for container in containers:
            mend += [*reconnect(name, container), docker("start", container["name"])]
        names = ", ".join(one["name"] for one in containers)
        evidence = "docker network ls does not list it"
        if names:
            evidence = f"no network of the engine has the id that {names} was made with"
        wrong = "it is gone, so its containers can't start ('network not found')"
        yield Finding("network-missing", name, wrong, evidence, tuple(mend), fixable)


def foreign(facts: Json) -> Iterator[Finding]:
    """See that the network of the stack's name was made by it."""
    present = network_of(facts, facts["wanted"]["name"])
    if present and not is_ours(facts, present["labels"]):
        labels = ", ".join(f"{key}={value}" for key, value in present["labels"].items()) or "none"
        mend = (
            "# it is never touched: take another name (network_name in the inventory, or -e), or remove it:",
            docker("network", "rm", present["name"]),
            "./sse up",
        )
        wrong = f"this stack ({facts['stack']}) did not make it"
        yield Finding("network-foreign", present["name"], wrong, f"its labels: {labels}", mend)


def conflicts(facts: Json) -> Iterator[Finding]:
    """See that no network's subnet is also a route's, an interface's or another network's."""
    wanted = facts["wanted"]
    subjects = [(one["name"], subnet, one) for one in facts["networks"] for subnet in one["subnets"]]
    if facts["host"]["engine"] and not network_of(facts, wanted["name"]):
        subjects.append((wanted["name"], wanted["subnet"], None))
    for name, subnet, own in subjects:
        if addresses.parse_any(subnet) is None:
            continue
        owners, free = preflight.overlaps(subnet, facts["host"], own)
        if not owners:
            continue
        if name == wanted["name"]:
            allowed = " -e network_recreate_allowed=true" if own else ""
            mend = f"./sse up -e network_subnet={free}{allowed}"
        else:
            mend = f"docker network rm {name} && docker network create --subnet={free} {name}"
        evidence = f"{subnet} overlaps {', '.join(owners)}"
        wrong = "its addresses are somebody else's too: one of the two can't be reached"
        mends = (f"# {free} is free", mend) if free else ("# no private network of this size is free",)
        yield Finding("subnet-conflict", name, wrong, evidence, mends)


def pools(facts: Json) -> Iterator[Finding]:
    """See that the engine still has a subnet for a network that names none."""
    engine = facts["host"]["engine"]
    if engine is None:
        return
    told = facts["info"].get("DefaultAddressPools")
    given = [(one["Base"], one["Size"]) for one in told] if told else DEFAULT_POOLS
    taken = [one for network in facts["networks"] for one in network["subnets"]]
    taken += [
        one["destination"]
        for one in facts["host"]["routes"]
        if int(one["destination"].partition("/")[2]) > preflight.HALF
    ]
    networks = [one for one in map(addresses.parse_any, taken) if one]
    blocks = [
        block
        for base, size in given
        if (pool := addresses.parse_any(base))
        for block in pool.subnets(new_prefix=max(size, pool.prefixlen))
    ]
    if any(not any(block.overlaps(one) for one in networks) for block in blocks):
        return
    evidence = (
        f"all {len(blocks)} subnets of the pools are taken: {', '.join(f'{base} by /{size}' for base, size in given)}"
    )
    free = addresses.free_subnet(taken, 24)
    mend = (
        "docker network ls  # remove what nobody needs (see unused-network)",
        f"docker network create --subnet={free} NAME  # a network that names its subnet needs no pool",
        "# or widen default-address-pools in /etc/docker/daemon.json and restart the engine",
    )
    yield Finding("address-pools", "engine", "it has no subnet left for a new network", evidence, mend)


def mtu(facts: Json) -> Iterator[Finding]:
    """See that no network sends packets that the way out can't carry, nor a container what its network can't."""
    device = uplink(facts["host"]["routes"])
    limit = facts["mtu"].get(device, 0)
    for network in facts["networks"]:
        if network["driver"] != "bridge" or not network["endpoints"]:
            continue
        own = network["mtu"] or ETHERNET_MTU
        if limit and own > limit and not network["internal"]:
            option = f"--opt=com.docker.network.driver.mtu={limit}"
            evidence = f"its packets have up to {own} bytes, {device} carries {limit}"
            mend = f"docker network create {option} ...  # made anew, since a network's MTU can't be changed"
            if network["name"] == "bridge":
                mend = f'# put "mtu": {limit} into /etc/docker/daemon.json and restart the engine'
            elif is_ours(facts, network["labels"]):
                mend = "./sse destroy && ./sse up  # data stays; a network's MTU can't be changed"
            wrong = "connections to the outside may hang once they carry much"
            yield Finding("mtu", network["name"], wrong, evidence, (mend,))
        for endpoint in network["endpoints"].values():
            yield from odd_mtu(facts, network, endpoint["name"], own)


def odd_mtu(facts: Json, network: Json, name: str, expected: int) -> Iterator[Finding]:
    """See that a container's interface has its network's MTU."""
    container = container_of(facts, name)
    inside = container["inside"] if container else None
    if not container or not inside or network["name"] not in container["networks"]:
        return
    address = container["networks"][network["name"]]["address"]
    for interface in inside["interfaces"]:
        if address and any(one.partition("/")[0] == address for one in interface["addresses"]):
            actual = inside["mtu"].get(interface["name"], expected)
            if actual != expected:
                evidence = f"{interface['name']} in {name} has {actual}, network {network['name']} {expected}"
                yield Finding("mtu", name, "its MTU is not its network's", evidence, (docker("restart", name),))


def stale(facts: Json) -> Iterator[Finding]:
    """See that every endpoint which the engine lists is there in fact: crashes leave some that are not."""
    lost = [
        one
        for one in facts["networks"]
        if one["driver"] == "bridge" and one["device"] not in facts["mtu"] and one["name"] not in BUILT_IN
    ]
    yield from (lost_bridge(facts, one) for one in lost)
    for network, endpoint, container in ghosts(facts):
        if network not in lost:
            name = endpoint["name"]
            whose = f"{name}, which knows nothing of it" if container else "no container"
            evidence = f"endpoint {name} ({endpoint['address']}) belongs to {whose}"
            mend = docker("network", "disconnect", "--force", network["name"], name)
            wrong = "it keeps an address for a container that is gone, and can't be removed"
            ours = all(is_ours(facts, one["labels"]) for one in (network, container) if one)
            yield Finding("stale-endpoint", network["name"], wrong, evidence, (mend,), ours)
    for container in facts["containers"]:
        has = addresses_inside(container)
        if has is None:
            continue
        for network in facts["networks"]:
            told = network["endpoints"].get(container["id"], {"address": ""})["address"]
            if told and told not in has and network not in lost and network["name"] in container["networks"]:
                evidence = f"on {network['name']} the engine says {told}; it has {', '.join(has) or 'none'}"
                ours = is_ours(facts, container["labels"])
                wrong = "its interface is gone: nobody reaches it there"
                mends = tuple(reconnect(network["name"], container))
                yield Finding("stale-endpoint", container["name"], wrong, evidence, mends, ours)


def lost_bridge(facts: Json, network: Json) -> Finding:
    """Tell of a network whose bridge is gone from the host."""
    on_it = [one for one in facts["containers"] if network["name"] in one["networks"] and one["running"]]
    engine = facts["host"]["engine"]
    ours = [is_ours(facts, one["labels"]) for one in (network, *on_it)]
    return Finding(
        "stale-endpoint",
        network["name"],
        "its bridge is gone from the host: nothing passes",
        f"no interface {network['device']}; on it: {', '.join(one['name'] for one in on_it) or 'nobody'}",
        (restart(facts), *(docker("restart", one["name"]) for one in on_it)),
        all(ours) and engine["managed"] and engine["live_restore"],
    )


def unused(facts: Json) -> Iterator[Finding]:
    """List networks that nothing runs on, with the stopped containers that a prune would break."""
    for network in facts["networks"]:
        name = network["name"]
        if name in BUILT_IN or network["endpoints"] or is_ours(facts, network["labels"]):
            continue
        running = [one["name"] for one in facts["containers"] if name in one["networks"] and one["running"]]
        if running or network["scope"] != "local":
            continue
        needed = network["containers"]
        if needed:
            evidence = f"stopped containers still need it: {', '.join(needed)}; after a prune their start fails"
            mend = (
                f"# keep it, or first: {docker('rm', *needed)}",
                docker("network", "rm", name),
            )
        else:
            evidence = "no container is on it, running or stopped"
            mend = (docker("network", "rm", name),)
        yield Finding("unused-network", name, "nothing runs on it", evidence, mend)


def flushed(facts: Json) -> Iterator[Finding]:
    """See that the engine's own rules are in the kernel: flush, firewalld or a restored file take them away."""
    engine = facts["host"]["engine"]
    if (
        engine is None
        or not facts["rules"]
        or "nftables" in str(facts["info"].get("FirewallBackend"))
        or as_dict(facts["host"]["daemon_json"]).get("iptables") is False
    ):
        return
    rules = iptables_rules.parse(facts["rules"])
    holders = rules.programs("nat", "DOCKER")
    # Where the engine's rules are in both sets, those of the command are its newest.
    rules = rules.only(min(holders, key=len, default=iptables_rules.IPTABLES))
    mend = restarting(facts)
    ours = engine["managed"] and engine["live_restore"]
    wrong = "the engine's rules are gone from the kernel: its ports and ways out are dead"
    chains = [
        f"{table} {chain}"
        for table, chain in (("nat", "DOCKER"), ("filter", "DOCKER"), ("filter", "DOCKER-USER"))
        if not rules.programs(table, chain)
    ]
    jumps = [
        chain for chain in ("PREROUTING", "OUTPUT") if not any(one.target == "DOCKER" for one in rules.of("nat", chain))
    ]
    lost = [f"no chain {one}" for one in chains] + [f"no jump from nat {one} to DOCKER" for one in jumps]
    if lost:
        yield Finding("rules-flushed", "iptables", wrong, ", ".join(lost), mend, ours)
        return
    written, leaving = iptables_rules.published(rules), iptables_rules.masqueraded(rules)
    for network in facts["networks"]:
        if network["driver"] != "bridge" or network["internal"]:
            continue
        subnets = [one for one in network["subnets"] if ":" not in one]
        lost = [f"no MASQUERADE of {one}" for one in subnets if network["masquerade"] and one not in leaving]
        out = iptables_rules.Packet("", OUTSIDE, enters=network["device"], leaves=uplink(facts["host"]["routes"]))
        stopped = rules.hindrance([("filter", "FORWARD")], out)
        if stopped and stopped.policy:
            lost.append(f"no ACCEPT of what comes from {network['device']}")
        for container in facts["containers"]:
            if container["running"] and network["name"] == next(iter(container["networks"]), ""):
                lost += [
                    f"no DNAT of {address}:{port} to {container['name']}"
                    for address, port, _ in container["published"]
                    if ":" not in address and ("" if address == "0.0.0.0" else address, port) not in written  # noqa: S104
                ]
        if lost and network["endpoints"]:
            yield Finding("rules-flushed", network["name"], wrong, ", ".join(lost), mend, ours)


def two_sets(facts: Json) -> Iterator[Finding]:
    """See that the engine's rules are in that set of the kernel's iptables which the command means, and only there."""
    holders = iptables_rules.parse(facts["rules"]).programs("nat", "DOCKER")
    for other in holders if facts["host"]["engine"] else ():
        if other == iptables_rules.IPTABLES:
            continue
        evidence = f"chain nat DOCKER is shown by {' and by '.join(holders)}"
        if len(holders) == 1:
            wrong = "it was exchanged below the engine, which publishes no port now, and starts with all rules anew"
            mend = (f"update-alternatives --set iptables /usr/sbin/{other}",)
        else:
            wrong = "the engine's rules are in both of the kernel's sets: what the old ones don't know of is stopped"
            mend = (
                f"{other}-save >/root/{other}.rules  # all rules of that set go, also those of others",
                f"{other} -P FORWARD ACCEPT",
                *(f"{other} -t {table} {option}" for table in ("filter", "nat") for option in ("-F", "-X")),
            )
        yield Finding("iptables-mix", "iptables", wrong, evidence, mend)


def own_chain(facts: Json) -> Iterator[Finding]:
    """See that the chain which closes the stack is in place: what flushes the engine's rules empties it, too."""
    wall = facts["firewall"]
    if wall and not wall["stands"]:
        mend = f"sh {wall['script']}" if wall["script"] else "./sse up"
        wrong = "the stack's own firewall rules are not in place: what nothing declares may connect"
        evidence = f"chain {wall['chain']} is missing, not asked, or not as the newest releases say"
        yield Finding("firewall-open", wall["chain"], wrong, evidence, (mend,), bool(wall["script"]))


RULES = (missing, foreign, conflicts, pools, mtu, stale, unused, flushed, two_sets, own_chain)
