# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The engine's networks: they exist, are the stack's own, conflict with nothing, and their endpoints are real."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Container, DoctorNetwork, Facts
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import ETHERNET_MTU, uplink
from ansible_collections.sse.platform.plugins.module_utils.host.plugged import NO_WAY_OUT
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.types import Network, Pool
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_preflight import WIDEST, overlaps

BUILT_IN = frozenset({"bridge", "host", "none", "ingress", "docker_gwbridge"})
# What the engine gives out where nothing says otherwise (moby, ipamutils): base and size of each network.
DEFAULT_POOLS = (
    ("172.17.0.0/16", 16), ("172.18.0.0/16", 16), ("172.19.0.0/16", 16), ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16), ("172.28.0.0/14", 16), ("192.168.0.0/16", 20),
)  # fmt: skip


def networks_exist(facts: Facts) -> Iterator[Finding]:
    """Check that every network exists that a container, or the stack, needs."""
    if facts["host"]["engine"] is None:
        return
    ids = {one["id"] for one in facts["networks"]}
    needed_by: dict[str, list[Container]] = {}
    for container in facts["containers"]:
        for name, endpoint in container["networks"].items():
            if endpoint["id"] and endpoint["id"] not in ids:
                needed_by.setdefault(name, []).append(container)
    wanted = facts["network"]
    own = segments.bridge("network", wanted["name"], wanted, segments.device(facts["stack"]))
    ours = {own["name"]: own} | connections.networks_of(facts["releases"])
    if facts["releases"] or any(one["ours"] for one in facts["containers"]):
        needed_by = {name: [] for name in ours if not lookup.network(facts, name)} | needed_by
    for name, containers in needed_by.items():
        fixable = name in ours and all(one["ours"] for one in containers)
        mend = [] if lookup.network(facts, name) else [create(facts, name, ours.get(name))]
        for container in containers:
            mend += [*commands.reconnect(name, container), docker("start", container["name"])]
        evidence = "docker network ls does not list it"
        if containers:
            names = lookup.listed(one["name"] for one in containers)
            evidence = f"no network has the id of the network that these containers were created with: {names}"
        wrong = "this network does not exist, so its containers cannot start ('network not found')"
        yield Finding("network-missing", name, wrong, evidence, tuple(mend), fixable)


def create(facts: Facts, name: str, network: Network | None) -> str:
    """Return the command that creates a network; it creates one of the stack just as the role network does."""
    if network is None:
        return docker("network", "create", name)
    limit = facts["host"]["uplink_mtu"]
    return docker(
        *("network", "create", "--driver=bridge", *pool_options(network), "--internal" if network["internal"] else ""),
        *(("--ipv6", *pool_options(network["ipv6"])) if "ipv6" in network else ()),
        f"--opt=com.docker.network.bridge.name={network['device']}",
        f"--opt=com.docker.network.driver.mtu={limit}" if limit < ETHERNET_MTU else "",
        *(f"--label={LABEL}stack={facts['stack']}", name),
    )


def pool_options(pool: Pool) -> tuple[str, ...]:
    """Return the options that give a network an address pool."""
    return f"--subnet={pool['subnet']}", f"--gateway={pool['gateway']}", f"--ip-range={pool['ip_range']}"


def network_is_ours(facts: Facts) -> Iterator[Finding]:
    """Check that the stack itself made the network that has the name of its network."""
    present = lookup.network(facts, facts["network"]["name"])
    if present and not present["ours"]:
        labels = ", ".join(f"{key}={value}" for key, value in present["labels"].items()) or "none"
        hint = "# the stack never changes it: choose another name (network_name in the inventory, or -e), or remove it:"
        mend = (hint, docker("network", "rm", present["name"]), "./sse up")
        wrong = f"the stack {facts['stack']} needs a network of this name, but did not make this one"
        yield Finding("network-foreign", present["name"], wrong, f"its labels: {labels}", mend)


def subnets_are_free(facts: Facts) -> Iterator[Finding]:
    """Check that no route, no interface and no other network has addresses of a network's subnet."""
    wanted = facts["network"]
    subnets = [(one["name"], subnet) for one in facts["networks"] for subnet in one["subnets"]]
    if facts["host"]["engine"] and not lookup.network(facts, wanted["name"]):
        subnets.append((wanted["name"], wanted["subnet"]))
    for name, subnet in subnets:
        network = lookup.network(facts, name)
        if not addresses.parse_any(subnet):
            continue
        within = facts["network"]["overlap_allowed"] and (network is None or network["ours"])
        owners, free = overlaps(subnet, facts["host"], name, within=within)
        if not owners:
            continue
        mend = f"docker network rm {name} && docker network create --subnet={free} {name}"
        if name == wanted["name"]:
            mend = f"./sse up -e network_subnet={free}" + (" -e network_recreate_allowed=true" if network else "")
        wrong = "something else uses the same addresses: only one of the two can be reached"
        mends = (f"# {free} is free", mend) if free else ("# no private network of this size is free",)
        yield Finding("subnet-conflict", name, wrong, f"{subnet} overlaps {', '.join(owners)}", mends)


def pools_are_free(facts: Facts) -> Iterator[Finding]:
    """Check that the engine still has a subnet for a network that names none."""
    if facts["host"]["engine"] is None:
        return
    pools = [(one["Base"], one["Size"]) for one in facts["info"].get("DefaultAddressPools") or ()] or DEFAULT_POOLS
    taken = [one for network in facts["networks"] for one in network["subnets"]]
    routes = [one["destination"] for one in facts["host"]["routes"]]
    taken += [one for one in routes if int(one.partition("/")[2]) > WIDEST]
    networks = [one for one in map(addresses.parse_any, taken) if one]
    subnets = [
        subnet
        for base, size in pools
        if (pool := addresses.parse_any(base))
        for subnet in pool.subnets(new_prefix=max(size, pool.prefixlen))
    ]
    if any(not any(subnet.overlaps(one) for one in networks) for subnet in subnets):
        return
    shown = ", ".join(f"{base} by /{size}" for base, size in pools)
    mend = (
        "docker network ls  # remove what nobody needs (see unused-network)",
        f"docker network create --subnet={addresses.free_subnet(taken, 24)} NAME  # needs no pool: it names its subnet",
        "# or add a pool to default-address-pools in /etc/docker/daemon.json, and restart the engine",
    )
    evidence = f"all {len(subnets)} subnets of its address pools are taken: {shown}"
    yield Finding("address-pools", "engine", "it has no subnet left for a new network", evidence, mend)


def packets_fit(facts: Facts) -> Iterator[Finding]:
    """Check that no network sends larger packets than the uplink carries, and no container than its network."""
    device = uplink(facts["host"]["routes"])
    limit = facts["mtu"].get(device, 0)
    for network in facts["networks"]:
        if network["driver"] != "bridge" or not network["endpoints"]:
            continue
        own = network["mtu"] or ETHERNET_MTU
        if limit and own > limit and not network["internal"]:
            evidence = f"its packets have up to {own} bytes, but {device} carries {limit}"
            mend = f"docker network create --opt=com.docker.network.driver.mtu={limit} ...  # a network keeps its MTU"
            if network["name"] == "bridge":
                mend = f'# put "mtu": {limit} into /etc/docker/daemon.json, and restart the engine'
            elif network["ours"]:
                mend = "./sse destroy && ./sse up  # keeps the data; a network keeps its MTU"
            wrong = "connections to the outside may hang when they carry much data"
            yield Finding("mtu", network["name"], wrong, evidence, (mend,))
        for endpoint in network["endpoints"].values():
            yield from interface_fits(facts, network, endpoint.name, own)


def interface_fits(facts: Facts, network: DoctorNetwork, name: str, expected: int) -> Iterator[Finding]:
    """Check that a container's interface has the MTU of its network, in bytes."""
    container = lookup.container(facts, name)
    if not container or not container["inside"] or network["name"] not in container["networks"]:
        return
    address = container["networks"][network["name"]]["address"]
    for interface in container["inside"]["interfaces"]:
        actual = container["inside"]["mtu"].get(interface["name"], expected)
        here = address in [one.partition("/")[0] for one in interface["addresses"]]
        if address and here and actual != expected:
            evidence = f"{interface['name']} has an MTU of {actual}, but network {network['name']} has {expected}"
            mend = (docker("restart", name),)
            yield Finding("mtu", name, "its MTU differs from the MTU of its network", evidence, mend)


def endpoints_exist(facts: Facts) -> Iterator[Finding]:
    """Check that every bridge and endpoint that the engine lists exists: after a crash, some do not."""
    bridges = [one for one in facts["networks"] if one["driver"] == "bridge" and one["name"] not in BUILT_IN]
    lost = [one for one in bridges if one["device"] not in facts["mtu"]]
    yield from (bridge_is_lost(facts, one) for one in lost)
    for network, endpoint, container in lookup.unclaimed_endpoints(facts):
        if network not in lost:
            name = endpoint.name
            whose = f"{name}, which does not know it" if container else "no container"
            evidence = f"endpoint {name} ({endpoint.address}) belongs to {whose}"
            mend = docker("network", "disconnect", "--force", network["name"], name)
            wrong = "it holds the endpoint of a container that is not on it, so Docker cannot remove it"
            ours = network["ours"] and (container is None or container["ours"])
            yield Finding("stale-endpoint", network["name"], wrong, evidence, (mend,), ours)
    for container in facts["containers"]:
        actual = lookup.addresses_inside(container)
        if actual is None:
            continue
        for network in facts["networks"]:
            listed = network["endpoints"].get(container["id"])
            if not listed or network in lost or network["name"] not in container["networks"]:
                continue
            if listed.address and listed.address not in actual:
                has = lookup.listed(actual)
                evidence = f"on {network['name']}, the engine lists the address {listed.address}, but it has {has}"
                wrong = "its network interface does not exist, so nobody reaches it on this network"
                mends = tuple(commands.reconnect(network["name"], container))
                yield Finding("stale-endpoint", container["name"], wrong, evidence, mends, container["ours"])
            elif why := facts["unplugged"].get(container["name"], {}).get(network["name"]):
                wrong = f"it reaches nobody on {network['name']}, and nobody reaches it there: {why}"
                if why.startswith(NO_WAY_OUT):
                    wrong = f"it reaches nobody beyond {network['name']}, and answers nobody from there: {why}"
                mends = tuple(commands.reconnect(network["name"], container))
                evidence = f"the engine lists the address {listed.address}, and the kernel says otherwise"
                yield Finding("stale-endpoint", container["name"], wrong, evidence, mends, container["ours"])


def bridges_are_whole(facts: Facts) -> Iterator[Finding]:
    """Check that each bridge of the stack is up, and has what the engine gave it."""
    for one in facts["host_side"]:
        if one.rule in {"bridge-down", "bridge-address", "bridge-setting"}:
            wrong = f"{one.wrong}: containers and host do not reach each other, nor containers the outside"
            yield Finding(one.rule, one.subject, wrong, one.evidence, one.mend, fixable=True)


def bridge_is_lost(facts: Facts, network: DoctorNetwork) -> Finding:
    """Tell of a network whose bridge does not exist on the host."""
    members = [one for one in facts["containers"] if network["name"] in one["networks"] and one["running"]]
    names, engine = [one["name"] for one in members], facts["host"]["engine"]
    ours = network["ours"] and all(one["ours"] for one in members)
    fixable = ours and engine is not None and engine["managed"] and engine["live_restore"]
    wrong = "its bridge does not exist on the host, so its containers cannot send or receive anything"
    evidence = f"the host has no interface {network['device']}; on this network are: {lookup.listed(names)}"
    mend = (commands.engine(facts, "restart"), *(docker("restart", name) for name in names))
    if ours and set(names) <= connections.containers_of(facts["releases"]).keys():
        # It makes the bridge again, and connects each container while it runs.
        return Finding("stale-endpoint", network["name"], wrong, evidence, ("./sse up",))
    return Finding("stale-endpoint", network["name"], wrong, evidence, mend, fixable)


def networks_used(facts: Facts) -> Iterator[Finding]:
    """List networks that no running container is on, with the stopped containers that a prune would break."""
    for network in facts["networks"]:
        name, needed_by = network["name"], network["containers"]
        if name in BUILT_IN or network["endpoints"] or network["ours"] or network["scope"] != "local":
            continue
        if any(name in one["networks"] and one["running"] for one in facts["containers"]):
            continue
        evidence, mend = "no container is on it, running or stopped", (docker("network", "rm", name),)
        if needed_by:
            evidence = f"these stopped containers need it, and cannot start without it: {', '.join(needed_by)}"
            mend = (f"# keep it, or first run: {docker('rm', *needed_by)}", *mend)
        yield Finding("unused-network", name, "no running container is on this network", evidence, mend)


RULES = (
    *(networks_exist, network_is_ours, subnets_are_free, pools_are_free, packets_fit, bridges_are_whole),
    *(endpoints_exist, networks_used),
)
