"""Whether a host can run a release, told before anything changes.

Pure: settings, the host fact and the release in, sentences out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.deploy.network_steps import (
    LABEL_STACK,
    is_ours,
    network_difference,
)
from ansible_collections.sse.platform.plugins.module_utils.model import addresses, ip_family, segments

Json = dict[str, Any]

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ARCHITECTURES = ("amd64", "arm64")
ENGINE_ROOT = "/var/lib/docker"
ENGINE_PROCESSES = ("dockerd ", "docker-proxy ")

MIB = 2**20
GIB = 2**30
# The host's own programs, dockerd and containerd among them (measured on a bare Debian 13: 180 MiB).
SYSTEM_MEMORY = 256 * MIB
# Limits are ceilings: at rest the containers use about a third of their sum, under load about a half.
MEMORY_SHARE = 2
# All images built from packages, with the builders' layers, take about 4 GiB.
IMAGES_DISK = 6 * GIB
# Kafka's segments, Redis' append-only file and Prometheus' blocks while they are still small.
DATA_DISK = 1 * GIB
# ip6tables is an experiment of the engine before, and on by itself since (its release notes, 27.0).
IP6TABLES_STABLE = 27
# From here on neighbour discovery passes on internal networks (moby/moby#45649; 20.10 and 26.1 measured).
INTERNAL_IPV6 = 25
# Routes as wide as half of the address space are a VPN's default route: Docker's own route is narrower and wins.
HALF = 1


def problems(settings: Json, host: Json, release: Json) -> list[str]:
    """Every reason why the release must not be applied here, one sentence each."""
    if not host["is_root"]:
        # Without root most of the host fact is a guess.
        return ["Tasks don't run as root on the host: log in as root, or set ansible_become=true for a user with sudo."]
    return [
        *_host_problems(host),
        *_network_problems(settings, host, release),
        *_exposure_problems(settings, host),
        *_container_problems(settings, host, release),
        *_port_problems(settings, host, release),
        *_memory_problems(host, release),
        *_disk_problems(settings, host, release),
    ]


def notices(settings: Json, host: Json) -> list[str]:
    """Guarantees that this host does not give, each with the way to turn it on."""
    return [
        *_engine_notices(settings, host["engine"]),
        *_swarm_notices(host["engine"]),
        *_firewall_notices(host),
        *_supervision_notices(host),
        *_kernel_notices(host),
        *_ipv6_notices(settings, host),
    ]


def _engine_notices(settings: Json, engine: Json | None) -> Iterator[str]:
    # Where the role docker may configure the engine, what is missing is what this run turns on.
    if engine is None or engine["managed"] or settings["docker_restart_allowed"]:
        return
    how = "set {} in /etc/docker/daemon.json and restart the engine, or run with docker_restart_allowed=true."
    if not engine["live_restore"]:
        off = "Containers stop while the engine restarts"
        if engine["swarm"] == "inactive":
            option = how.format('"live-restore": true')
            yield f"{off}, because live-restore is off: {option}"
        else:
            yield f"{off}: live-restore can't be on while the engine is in a Swarm."
    if engine["userland_proxy"] and not settings["docker_userland_proxy"]:
        option = how.format('"userland-proxy": false')
        yield f"Ports published on loopback die with the engine, because userland-proxy is on: {option}"


def _firewall_notices(host: Json) -> Iterator[str]:
    if host["engine"] and not host["firewall"]:
        yield (
            "This engine's firewall has no chain DOCKER-USER, so no rule keeps ports that are published on loopback "
            "from the host's own layer 2, and exposure_allow_from has no effect: use the firewall backend iptables."
        )


def _swarm_notices(engine: Json | None) -> Iterator[str]:
    # Bridge networks and containers work in either state (measured with engine 26.1); only Swarm's own don't.
    swarm = engine["swarm"] if engine else "inactive"
    if engine and swarm == "error":
        yield (
            f"The engine's Swarm is in error state ({engine['swarm_error'] or 'no reason given'}). This stack does not "
            "use it, and does nothing about it: mend it, or take the host out of it with docker swarm leave --force "
            "(on the last manager that forgets all its services)."
        )
    if swarm == "locked":
        yield "The engine's Swarm is locked. This stack does not use it; docker swarm unlock opens it."


def _supervision_notices(host: Json) -> Iterator[str]:
    if host["service_manager"] == "none":
        yield (
            "No service manager runs here, so nothing starts the engine after a reboot of the host: run the playbook "
            "again, or have supervise-dockerd start run at boot (WSL2: the key command under [boot] in /etc/wsl.conf)."
        )


def _kernel_notices(host: Json) -> Iterator[str]:
    # 2 refuses overcommit by the administrator's own choice; 0 is set to 1 by the role docker where that is possible.
    if host["overcommit_memory"] == 2 or (host["overcommit_memory"] == 0 and not host["overcommit_writable"]):
        yield (
            "Redis can fail to save when memory is short: turn it on with sysctl -w vm.overcommit_memory=1 "
            "and a file in /etc/sysctl.d."
        )


def _ipv6_notices(settings: Json, host: Json) -> Iterator[str]:
    if settings["network_ipv6"] and ip_family.IPV4.loopback not in twins(settings, host):
        yield (
            f"Nothing answers on [{ip_family.IPV6.loopback}], because userland-proxy is off, and without it the kernel "
            "brings no answer back there: use 127.0.0.1, or docker_userland_proxy=true where `up` installed the engine."
        )


def _host_problems(host: Json) -> Iterator[str]:
    distribution = host["distribution"]
    if distribution["version"] not in SUPPORTED.get(distribution["id"], ()):
        accepted = ", ".join(f"{name} {' and '.join(numbers)}" for name, numbers in SUPPORTED.items())
        seen = f"{distribution['id']} {distribution['version']}".strip()
        yield f"The host runs {seen}, which is not supported: supported are {accepted}."
    if host["architecture"] not in ARCHITECTURES:
        yield f"The host's architecture is {host['architecture']}: supported are {' and '.join(ARCHITECTURES)}."
    if host["engine"] is None and host["dockerd_pid"]:
        yield (
            f"An engine runs (dockerd, pid {host['dockerd_pid']}) and does not answer on /var/run/docker.sock "
            f"({host['engine_error']}): a second one is never started beside it; have it listen there."
        )
    if host["daemon_json"] is None:
        yield "/etc/docker/daemon.json is not a JSON object: mend it or take it away, since it is never overwritten."


def twins(settings: Json, host: Json) -> dict[str, str]:
    """On which IPv6 addresses ports are published as well, by IPv4 address; whether networks have IPv6 is theirs."""
    ours = _may_configure(settings, host)
    return ip_family.twins(
        loopback=bool(settings["docker_userland_proxy"] if ours else host["engine"]["userland_proxy"])
    )


def _may_configure(settings: Json, host: Json) -> bool:
    # As role docker has it: an engine of somebody else's that nothing starts again is never restarted.
    allowed = settings["docker_restart_allowed"] and host["service_manager"] != "none"
    return host["engine"] is None or host["engine"]["managed"] or allowed


def _engine_to_be(settings: Json, host: Json) -> int:
    """The major version of the engine, or of the one to be installed where that is known to be old."""
    if host["engine"]:
        return int(host["engine"]["version"].partition(".")[0])
    old = settings["docker_package_source"] == "distribution" and host["distribution"]["codename"] == "bookworm"
    return 20 if old else INTERNAL_IPV6


def _ipv6_problems(settings: Json, host: Json) -> Iterator[str]:
    if not settings["network_ipv6"]:
        return
    if not host["ipv6"]:
        yield (
            "network_ipv6 is true, and IPv6 is off on this host: turn it on with sysctl -w "
            "net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 and a file in /etc/sysctl.d (where "
            "the kernel was started with ipv6.disable=1, without that); accepted is false."
        )
    if not host["firewall6"] and not _may_configure(settings, host):
        stable = _engine_to_be(settings, host) >= IP6TABLES_STABLE
        keys = '"ip6tables": true' if stable else '"experimental": true and "ip6tables": true'
        yield (
            f"network_ipv6 is true, and this engine ({host['engine']['version']}) does not manage ip6tables, so over "
            f"IPv6 no port would be published and nothing refused: set {keys} in /etc/docker/daemon.json and restart "
            "the engine, or run with docker_restart_allowed=true; accepted is false."
        )
    if settings["network_layout"] == segments.SEGMENTED and _engine_to_be(settings, host) < INTERNAL_IPV6:
        yield (
            f"network_ipv6 is true and network_layout is 'segmented': on an internal network this engine drops what "
            f"IPv6 finds its neighbours by, so no two containers would reach each other there; accepted is single, "
            f"network_ipv6 false, or Engine {INTERNAL_IPV6} and newer (docker_package_source=docker)."
        )
    for device in host["ipv6_routes_lost"]:
        yield (
            f"network_ipv6 is true, so the engine has this host forward IPv6, and with that it would lose its own way "
            f"out: the default route through {device} is learnt from router advertisements, which a router ignores. "
            f"Keep it with sysctl -w net.ipv6.conf.{device}.accept_ra=2 and a file in /etc/sysctl.d; accepted is false."
        )


def _network_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    yield from _ipv6_problems(settings, host)
    for wanted in release["networks"].values():
        yield from _one_network_problems(wanted["segment"], wanted, settings, host)
    if settings["network_layout"] == segments.SEGMENTED and host["bridge_filter"] == "none":
        yield (
            "network_layout is 'segmented', and this kernel has no br_netfilter, so no firewall sees what passes "
            "within a segment: accepted is single, or a kernel with that module."
        )
    if settings["network_layout"] == segments.SEGMENTED and host["engine"] and not host["firewall"]:
        yield (
            "network_layout is 'segmented', and this engine's firewall has no chain DOCKER-USER to refuse connections "
            "in: accepted is single, or an engine with the firewall backend iptables."
        )


def _exposure_problems(settings: Json, host: Json) -> Iterator[str]:
    allowed: list[str] = settings["exposure_allow_from"]
    client = host["ssh_client"]
    if not allowed or not client:
        return
    address = ipaddress.ip_address(client.partition("%")[0])
    if address.version == ip_family.IPV6.version and not settings["network_ipv6"]:
        return  # nothing of the stack answers over IPv6, whoever asks
    if not any(address in ipaddress.ip_network(one) for one in allowed):
        yield (
            f"exposure_allow_from is {', '.join(allowed)}: that leaves out {address}, from where this run comes by SSH;"
            f" accepted is a list that holds it, such as {address}/{address.max_prefixlen}."
        )


def _one_network_problems(segment: str, wanted: Json, settings: Json, host: Json) -> Iterator[str]:
    name = wanted["name"]
    present = next((network for network in host["networks"] if network["name"] == name), None)
    difference = network_difference(wanted, present) if present else []
    if present and not difference:
        return
    if present:
        what = f"Docker network {name} exists and differs: {'; '.join(difference)}."
        if present["labels"].get(LABEL_STACK) != settings["stack_name"]:
            other = "network_name" if segment == "network" else "stack_name"
            yield f"{what} This stack did not make it, so it is never touched: choose another {other}."
            return
        if not settings["network_recreate_allowed"]:
            yield (
                f"{what} Docker can only remove it and create it anew, which detaches every container for that time: "
                "allow it with network_recreate_allowed=true, or take the old values."
            )
            return
        strangers = [one["name"] for one in host["containers"] if not is_ours(one, settings)]
        guests = [name for name in present["containers"] if name in strangers]
        if guests:
            yield f"{what} Containers that this stack did not make are on it, detach them first: {', '.join(guests)}."
    known = segment if segment in segments.SEGMENTS else segments.PORTS
    variable = "network_subnet" if segment == "network" else f"network_segment_subnets.{known}"
    yield from _overlap_problems(variable, wanted["subnet"], host, present)
    if wanted.get("ipv6"):
        yield from _overlap_problems("network_ipv6_subnet", wanted["ipv6"]["subnet"], host, present)


def _overlap_problems(variable: str, subnet: str, host: Json, own: Json | None) -> Iterator[str]:
    overlapping, free = overlaps(subnet, host, own)
    if overlapping:
        proposal = f"{free} is free" if free else "no private network of this size is free"
        yield f"{variable} is '{subnet}': it overlaps {', '.join(overlapping)}; {proposal}."


def overlaps(subnet: str, host: Json, own: Json | None) -> tuple[list[str], str | None]:
    """Who else on the host uses addresses of this subnet, each with its place, and a subnet of its size that is free.

    :param own: the network of this subnet where it is there: it does not overlap itself
    """
    own_device = own["device"] if own else None
    owners: dict[str, str] = {}
    for network in host["networks"]:
        if own is None or network["name"] != own["name"]:
            owners.update({taken: f"Docker network {network['name']} ({taken})" for taken in network["subnets"]})
    for interface in host["interfaces"]:
        for address in interface["addresses"] if interface["name"] != own_device else ():
            taken = str(ipaddress.ip_interface(address).network)
            owners.setdefault(taken, f"interface {interface['name']} ({address})")
    for route in host["routes"]:
        taken = route["destination"]
        if route["device"] != own_device and int(taken.partition("/")[2]) > HALF:
            owners.setdefault(taken, f"the route {taken} through {route['device'] or 'no device'}")
    overlapping = [owner for taken, owner in owners.items() if addresses.overlap(taken, subnet)]
    if not overlapping:
        return [], None
    if ip_family.of(subnet) is ip_family.IPV6:
        return overlapping, addresses.free_subnet6([*owners, subnet], subnet)
    return overlapping, addresses.free_subnet([*owners, subnet], ipaddress.IPv4Network(subnet).prefixlen)


def _container_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    for container in host["containers"]:
        if container["name"] in release["containers"] and not is_ours(container, settings):
            yield (
                f"A container named {container['name']} exists that this stack did not make, and it is never touched: "
                "remove or rename it, or choose another stack_name."
            )


def _port_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    variables = {value: name for name, value in settings.items() if name.endswith("_port")}
    for name, container in release["containers"].items():
        for port in container["ports"]:
            owner = _port_owner(settings, host, port["host_ip"], port["host_port"])
            if owner:
                place = f"Port {port['host_port']} on {port['host_ip']}, which {name} publishes,"
                variable = variables.get(port["host_port"], "port")
                yield f"{place} is already bound by {owner}: stop that, or choose another {variable}."


def _port_owner(settings: Json, host: Json, address: str, number: int) -> str:
    """Who holds a TCP port of the host; '' where nobody does, or containers of this stack."""
    ours: list[str] = []
    for container in host["containers"]:
        for port in container["ports"]:
            if port["protocol"] == "tcp" and port["host_port"] == number and conflicts(address, port["host_ip"]):
                if not is_ours(container, settings):
                    return f"container {container['name']}"
                ours.append(port["host_ip"])
    for one in host["listeners"]:
        if one["protocol"] == "tcp" and one["port"] == number and conflicts(address, one["address"]):
            # The engine itself listens for each port that it publishes.
            published = one["process"].startswith(ENGINE_PROCESSES) and any(
                conflicts(at, one["address"]) for at in ours
            )
            if not published:
                return one["process"] or "a process that can't be seen from here"
    return ""


def conflicts(address: str, other: str) -> bool:
    """Whether two sockets of one port exclude each other: the same address, or one of them is all addresses."""
    return address == other or any(ipaddress.ip_address(one or "::").is_unspecified for one in (address, other))


def _memory_problems(host: Json, release: Json) -> Iterator[str]:
    limits = sum(container["memory"] for container in release["containers"].values())
    needed = limits // MEMORY_SHARE + SYSTEM_MEMORY
    if host["memory_bytes"] < needed:
        yield (
            f"The host has {_mib(host['memory_bytes'])} of memory, needed are {_mib(needed)}: half of the containers' "
            f"limits ({_mib(limits)} in all), and {_mib(SYSTEM_MEMORY)} for the system. "
            "Lower app_replicas or the *_memory variables, or take a larger host."
        )


def _disk_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    root = host["engine"]["root_dir"] if host["engine"] else ENGINE_ROOT
    missing = any(container["image"] not in host["images"] for container in release["containers"].values())
    needs = [(settings["stack_state_directory"], DATA_DISK, "the stack's data")]
    if missing:
        needs.append((root, IMAGES_DISK, "images and the layers that they are built from"))
    for path, needed, purpose in needs:
        free = host["disk_free_bytes"].get(path, needed)
        if free < needed:
            yield f"The disk of {path} has {_mib(free)} free, needed are {_mib(needed)} for {purpose}: make room there."


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
