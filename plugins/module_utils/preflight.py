"""Whether a host can run a release, told before anything changes.

Pure: settings, the host fact and the release in, sentences out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils import addresses, layout

Json = dict[str, Any]

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04")}
ARCHITECTURES = ("amd64", "arm64")
ENGINE_ROOT = "/var/lib/docker"
ENGINE_PROCESSES = ("dockerd ", "docker-proxy ")
LABEL_STACK = "sse.platform.stack"

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
        *_kafka_problems(settings, host),
    ]


def notices(settings: Json, host: Json) -> list[str]:
    """Guarantees that this host does not give, each with the way to turn it on."""
    return [
        *_engine_notices(settings, host["engine"]),
        *_swarm_notices(host["engine"]),
        *_firewall_notices(host),
        *_supervision_notices(host),
        *_kernel_notices(host),
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
    if engine["userland_proxy"]:
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


def network_difference(wanted: Json, network: Json) -> list[str]:
    """How a network of the stack differs from what is wanted; labels and containers don't matter."""
    present = {**network, "subnet": ", ".join(network["subnets"])}
    return [
        f"{key} is {present[key] or 'not set'}, wanted {wanted[key]}"
        for key in ("driver", "subnet", "gateway", "ip_range", "internal")
        if present[key] != wanted[key]
    ]


def network_steps(settings: Json, host: Json, releases: list[Json]) -> Json:
    """What is to be done about the stack's networks: `make` and, once containers have moved, `drop`.

    What `make` names exists and differs, or does not exist; `_network_problems` has refused what must not be remade.
    """
    present = {network["name"]: network for network in host["networks"]}
    wanted = {name: one for release in releases for name, one in release["networks"].items()}
    strangers = {one["name"] for one in host["containers"] if not _is_ours(one, settings)}
    return {
        "make": [
            {**one, "containers": present.get(one["name"], {}).get("containers", [])}
            for one in wanted.values()
            if one["name"] not in present or network_difference(one, present[one["name"]])
        ],
        "drop": sorted(
            name
            for name, one in present.items()
            if one["labels"].get(LABEL_STACK) == settings["stack_name"]
            and name not in wanted
            and not set(one["containers"]) & strangers
        ),
    }


def _network_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    for wanted in release["networks"].values():
        yield from _one_network_problems(wanted["segment"], wanted, settings, host)
    if settings["network_layout"] == layout.SEGMENTED and host["bridge_filter"] == "none":
        yield (
            "network_layout is 'segmented', and this kernel has no br_netfilter, so no firewall sees what passes "
            "within a segment: accepted is single, or a kernel with that module."
        )
    if settings["network_layout"] == layout.SEGMENTED and host["engine"] and not host["firewall"]:
        yield (
            "network_layout is 'segmented', and this engine's firewall has no chain DOCKER-USER to refuse connections "
            "in: accepted is single, or an engine with the firewall backend iptables."
        )


def _exposure_problems(settings: Json, host: Json) -> Iterator[str]:
    allowed: list[str] = settings["exposure_allow_from"]
    client = host["ssh_client"]
    if allowed and client and not any(ipaddress.ip_address(client) in ipaddress.ip_network(one) for one in allowed):
        yield (
            f"exposure_allow_from is {', '.join(allowed)}: that leaves out {client}, from where this run comes by SSH; "
            f"accepted is a list that holds it, such as {client}/32."
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
        strangers = [one["name"] for one in host["containers"] if not _is_ours(one, settings)]
        guests = [name for name in present["containers"] if name in strangers]
        if guests:
            yield f"{what} Containers that this stack did not make are on it, detach them first: {', '.join(guests)}."
    known = segment if segment in layout.SEGMENTS else layout.PORTS
    variable = "network_subnet" if segment == "network" else f"network_segment_subnets.{known}"
    yield from _overlap_problems(variable, wanted["subnet"], host, present)


def _overlap_problems(variable: str, subnet: str, host: Json, own: Json | None) -> Iterator[str]:
    overlapping, free = overlaps(subnet, host, own)
    if overlapping:
        proposal = f"{free} is free" if free else "no private network of this size is free"
        yield f"{variable} is '{subnet}': it overlaps {', '.join(overlapping)}; {proposal}."


def overlaps(subnet: str, host: Json, own: Json | None) -> tuple[list[str], str | None]:
    """Who else on the host uses addresses of this subnet, each with its place, and a subnet of its size that is free.

    :param own: the network of this subnet where it is there: it does not overlap itself
    """
    wanted = ipaddress.IPv4Network(subnet)
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
    overlapping = [
        owner for taken, owner in owners.items() if (other := addresses.parse_any(taken)) and other.overlaps(wanted)
    ]
    return overlapping, addresses.free_subnet([*owners, subnet], wanted.prefixlen) if overlapping else None


def _is_ours(container: Json, settings: Json) -> bool:
    return container["labels"].get(LABEL_STACK) == settings["stack_name"]


def _container_problems(settings: Json, host: Json, release: Json) -> Iterator[str]:
    for container in host["containers"]:
        if container["name"] in release["containers"] and not _is_ours(container, settings):
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
                if not _is_ours(container, settings):
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


def _kafka_problems(settings: Json, host: Json) -> Iterator[str]:
    data = host["kafka_data"]
    if data is None:
        return
    place = f"Kafka's data under {settings['stack_state_directory']}"
    mode, identity = settings["kafka_coordination"], settings["kafka_cluster_id"]
    if data["format"] != mode:
        yield (
            f"kafka_coordination is '{mode}', but {place} was written with {data['format']}: accepted is "
            f"{data['format']}, or another stack_state_directory (nothing here migrates data)."
        )
    if identity and data["cluster_id"] != identity:
        yield (
            f"kafka_cluster_id is '{identity}', but {place} belongs to cluster {data['cluster_id']}: accepted is that "
            "or '', or another stack_state_directory."
        )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
