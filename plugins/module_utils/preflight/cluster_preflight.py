# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether hosts can be a cluster, told before anything changes. Pure: what every host showed in, sentences out.

Each sentence names its host. What one host alone cannot do, `preflight.node_problems` says.
"""

from __future__ import annotations

import ipaddress
import re
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.meeting import ENCRYPTED
from ansible_collections.sse.platform.plugins.module_utils.model import (
    addresses,
    engine_api,
    segments,
    swarm_placement,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import of_manager
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    GROUPS,
    SWARM_LABEL,
    holds_label,
)
from ansible_collections.sse.platform.plugins.module_utils.preflight import network_preflight, preflight
from ansible_collections.sse.platform.plugins.module_utils.preflight.network_steps import LABEL_STACK, is_ours

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.host.meeting import Unmet
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import Admits, EdgeAdmits, SwarmFact
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Group, SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        ContainerFact,
        HostFacts,
        Network,
        Release,
        Settings,
    )

TASK = "com.docker.swarm.task.id"  # the engine labels the containers of tasks with it
MOST_MANAGERS = 7  # each of them writes down every decision
# Clients see the order of times that several hosts wrote. A token is judged by the clock of the host that it comes to.
CLOCK_SECONDS = 5.0
# Settings that may differ from host to host, by how their names begin.
OF_ONE_HOST = ("deployment_", "docker_", "images_", "network_gateways")
# What it takes to change an overlay.
REMADE = "A Swarm changes no network: every service would end, and begin anew with its data on another one."
OLD_ENGINES = {"bookworm": "20.10"}  # distributions that may have no engine yet, and would get an old one


class Shown(NamedTuple):
    """What one host of the cluster showed."""

    host: HostFacts
    swarm: SwarmFact | None  # None where no engine answers
    address: str  # by which the others reach it
    unmet: list[Unmet]
    held: list[str]  # ports of the Swarm that a program of this host holds
    ahead: float = 0.0  # seconds, of the controller's clock
    doubt: float = 0.0  # how far off that may be
    admits: Admits | None = None  # None where that was not looked at
    edge: EdgeAdmits | None = None  # None where that was not looked at
    no_ipsec: str = ""  # why it cannot encrypt an overlay, where that is asked for
    sources: Sequence[str] = ()  # addresses of this host from which it reaches the others
    unavailable: Mapping[str, str] = {}  # why an image has no way to this host, by its reference

    @classmethod
    def of(cls, variables: Mapping[str, Any], unavailable: Mapping[str, str] = MappingProxyType({})) -> Shown:
        """Return what a host showed, from the facts ``host`` and ``cluster_node`` among its variables."""
        node: Mapping[str, Any] = variables["cluster_node"]
        known = {key: node[key] for key in cls._fields if key not in {"host", "unavailable"}}
        return cls(variables["host"], **known, unavailable=unavailable)


class Wanted(NamedTuple):
    """What the hosts are to run."""

    settings: Settings
    groups: Mapping[Group, list[str]]
    releases: list[Release]
    services: list[SwarmService]
    held_by: Mapping[str, str]  # the host with the data of each service


def problems(wanted: Wanted, shown: Mapping[str, Shown]) -> list[str]:
    """Return every reason why these hosts must not become this cluster, one sentence each."""
    return [
        *_deployment_problems(wanted.settings),
        *_group_problems(wanted.groups, shown),
        *_address_problems(shown),
        *_swarm_problems(wanted.groups, shown),
        *_data_problems(wanted, shown),
        *_host_problems(wanted.settings, shown),
        *_port_problems(shown),
        *_engine_problems(wanted.settings, shown),
        *_clock_problems(shown),
        *_subnet_problems(wanted, shown),
        *_overlay_problems(wanted, shown),
        *_ipsec_problems(shown),
        *_image_problems(wanted, shown),
        *(f"{host}: {one}" for host in shown for one in _node_problems(wanted, host, shown[host].host)),
    ]


def problems_without(host: str, wanted: Wanted, shown: Mapping[str, Shown]) -> list[str]:
    """Return every reason why the other hosts cannot carry what one carries, one sentence each."""
    rest = wanted._replace(
        groups={group: [one for one in hosts if one != host] for group, hosts in wanted.groups.items()}
    )
    others = [other for other in shown if other != host]
    return [f"{other}: {one}" for other in others for one in _node_problems(rest, other, shown[other].host)]


def unlike_settings(settings: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Name the settings that are one thing on one host of a cluster and another on another."""
    first, *others = settings
    for name, value in settings[first].items():
        for other in others:
            if not name.startswith(OF_ONE_HOST) and settings[other].get(name) != value:
                yield (
                    f"{name} is not the same on {first} and on {other}: one release runs on all hosts of a cluster. "
                    "Expected it in the group_vars of all, or by -e."
                )
                break


def notices(shown: Mapping[str, Shown], silent: Collection[str] = ()) -> Iterator[str]:
    """Say what is used as it is found."""
    for host, one in shown.items():
        if one.swarm and one.swarm["manager"]:
            nodes = one.swarm["nodes"]
            yield f"The Swarm that {host} is a manager of is used as it is: {len(nodes)} node{'s'[: len(nodes) != 1]}."
            if others := nodes_of_others(shown, silent):
                yield (
                    f"It has nodes of others, which get nothing of this stack: {', '.join(others)}. So its ports are "
                    "left as they are: let nobody but its nodes reach 2377, 7946 and 4789."
                )
            return


def nodes_of_others(shown: Mapping[str, Shown], silent: Collection[str] = ()) -> list[str]:
    """Return the nodes of the Swarm that are no hosts of the inventory, as a manager calls them.

    :param silent: hosts that do not answer, which are known where they call themselves as the inventory does
    """
    own = {one.address for one in shown.values()}
    swarm = of_manager(one.swarm for one in shown.values())
    return sorted(
        node["name"]
        for node in (swarm["nodes"] if swarm else ())
        if node["address"] not in own and node["name"] not in silent
    )


def address_of(host: HostFacts, given: str = "") -> str:
    """Return the address by which others reach a host: the given one, or that of the device of its default route."""
    if given:
        return given
    device = next((one["device"] for one in host["routes"] if one["destination"] == "0.0.0.0/0"), "")
    found = (address for one in host["interfaces"] if one["name"] == device for address in one["addresses"])
    return next((text.partition("/")[0] for text in found if addresses.parse_any(text)), "")


def taken_ports(host: HostFacts) -> list[str]:
    """Return the UDP ports of a Swarm that the engine of a host certainly has: a stranger gets no answer there.

    The kernel has that of the overlay from the first task on.
    """
    engine = host["engine"]
    if not engine or engine["swarm"] != "active":
        return []
    tasks = [one for one in host["containers"] if TASK in one["labels"] and one["state"] == "running"]
    return ["7946/udp", *(["4789/udp"] if tasks else [])]


def _deployment_problems(settings: Settings) -> Iterator[str]:
    if settings["deployment"] != "swarm":
        yield (
            f"deployment is {settings['deployment']}, and the inventory has managers, so its hosts are one cluster: "
            "expected deployment swarm in its group_vars, or an inventory without the group managers."
        )
    if settings["backup_schedule"]:
        yield (
            f"backup_schedule is '{settings['backup_schedule']}', and no host of a cluster makes backups by itself: "
            "expected '', and a timer of the machine that deploys which runs ./sse backup (docs/cluster.md)."
        )


def _group_problems(groups: Mapping[Group, list[str]], shown: Mapping[str, Shown]) -> Iterator[str]:
    for group in GROUPS:
        hosts = groups.get(group, [])
        if not hosts:
            yield f"The group {group} of the inventory has no host: expected one at least."
        for host in hosts:
            if host not in shown:
                yield f"{host} is in the group {group}, and this run leaves it out: expected every host of the cluster."
    grouped = {host for hosts in groups.values() for host in hosts}
    for host in shown:
        if host not in grouped:
            yield f"{host} is in none of the groups {', '.join(GROUPS)}: it would carry nothing. Expected it in one."
    managers = groups.get("managers", [])
    if len(managers) > MOST_MANAGERS:
        yield f"The group managers has {len(managers)} hosts: each decision waits for most of them. Expected 1, 3 or 5."
    elif managers and len(managers) % 2 == 0:
        lost = len(managers) // 2 - 1
        yield (
            f"The group managers has {len(managers)} hosts ({', '.join(managers)}): more than half of them must agree, "
            f"so the Swarm survives the loss of {lost}, as with {len(managers) - 1}, and one more can fail. Expected "
            "1, 3 or 5."
        )


def _address_problems(shown: Mapping[str, Shown]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for host, one in shown.items():
        own = {text.partition("/")[0] for interface in one.host["interfaces"] for text in interface["addresses"]}
        if not one.address:
            yield f"{host} has no default route, so its address is not known: set deployment_address for this host."
        elif one.address not in own:
            yield (
                f"deployment_address of {host} is '{one.address}', and this host has no such address: expected one of "
                f"{', '.join(sorted(own - {'127.0.0.1'})) or 'its interfaces'}."
            )
        elif ipaddress.ip_address(one.address).is_loopback:
            yield f"The address of {host} is {one.address}: no other host reaches that. Set deployment_address."
        elif one.address in owners:
            yield f"{owners[one.address]} and {host} both have the address {one.address}: expected one for each."
        owners.setdefault(one.address, host)


def _swarm_problems(groups: Mapping[Group, list[str]], shown: Mapping[str, Shown]) -> Iterator[str]:
    swarms: dict[str, str] = {}  # a manager by the id of its Swarm
    members = {host: one for host, one in shown.items() if one.swarm and one.swarm["state"] != "inactive"}
    for host, one in members.items():
        swarm = one.swarm
        if swarm and swarm["state"] in {"error", "pending"}:
            yield (
                f"The Swarm of {host} is in state {swarm['state']} ({swarm['error'] or 'no reason given'}): repair it, "
                "or take the host out with docker swarm leave --force. Without managers, a Swarm forgets its services."
            )
        elif swarm and swarm["state"] == "locked":
            yield f"The Swarm of {host} is locked: open it with docker swarm unlock."
        elif swarm and swarm["manager"] and not swarm["nodes"]:
            yield (
                f"The managers of the Swarm decide nothing, as {host} says ({swarm['error']}): more than half of them "
                "have to run and reach each other. Start the others."
            )
        elif swarm and swarm["manager"] and swarm["id"]:
            swarms.setdefault(swarm["id"], host)
    if len(swarms) > 1:
        yield (
            f"{' and '.join(swarms.values())} are managers of different Swarms: expected one Swarm for the cluster. "
            "Take all but one out with docker swarm leave --force; a Swarm without managers forgets its services."
        )
        return
    ids = {node["id"] for one in members.values() if one.swarm for node in one.swarm["nodes"]}
    manager = next(iter(swarms.values()), "")
    for host, one in members.items():
        swarm = one.swarm
        if swarm and swarm["state"] == "active" and not swarm["manager"] and swarm["node"] not in ids:
            theirs = ", ".join(swarm["managers"]) or "unknown managers"
            whose = f"not in that of {manager}" if manager else "and none of them is a host of this inventory"
            yield f"{host} is in a Swarm of {theirs}, {whose}: take it out with docker swarm leave, or name these."
    if manager and manager not in groups.get("managers", ()):
        yield (
            f"{manager} is a manager of a Swarm, and not in the group managers: expected it there, or another manager "
            "first, which takes over."
        )


def _data_problems(wanted: Wanted, shown: Mapping[str, Shown]) -> Iterator[str]:
    """Name the nodes with data that are no hosts of the inventory: a service would begin with none elsewhere."""
    swarm = of_manager(one.swarm for one in shown.values())
    own = swarm_placement.by_host(swarm, {host: {"address": one.address} for host, one in shown.items()}).values()
    for name, host in wanted.held_by.items():
        label = holds_label(name)
        for node in swarm["nodes"] if swarm and not any(label in one["labels"] for one in own) else ():
            if label in node["labels"]:
                yield (
                    f"The data of {name} are on {node['name']} (its node is {node['state']}), which is no host of this "
                    f"inventory, and {name} would begin on {host} without them: expected it in the inventory, until "
                    f"./sse node remove. Where they are given up: docker node update --label-rm {label} {node['id']}"
                )


def _host_problems(settings: Settings, shown: Mapping[str, Shown]) -> Iterator[str]:
    """Refuse a stack that runs as containers of one host: both would write the same data."""
    for host, one in shown.items():
        ours = [container["name"] for container in one.host["containers"] if is_ours(container, settings)]
        if ours:
            some = ", ".join(sorted(ours)[:3]) + (", ..." if len(ours) > 3 else "")
            yield (
                f"{host} runs the stack {settings['stack_name']} as containers of one host ({some}): remove them with "
                "./sse destroy there, which keeps the data."
            )


def _port_problems(shown: Mapping[str, Shown]) -> Iterator[str]:
    for host, port in closed_ports(shown):
        peer = shown.get(port["peer"])
        where = f" ({peer.address})" if peer else ""
        if port["protocol"] == ENCRYPTED.protocol:
            yield (
                f"{host} does not reach {port['peer']}{where} by ESP, IP protocol {port['port']}: {port['why']}. With "
                "network_encrypted, what containers tell each other goes by it: let it through between the hosts."
            )
            continue
        yield (
            f"{host} does not reach port {port['port']}/{port['protocol']} of {port['peer']}{where}: {port['why']}. "
            "Expected 2377/tcp, 7946/tcp, 7946/udp and 4789/udp open between the hosts, and to nobody else."
        )


def closed_ports(shown: Mapping[str, Shown]) -> Iterator[tuple[str, Unmet]]:
    """Yield the ports of the Swarm that do not answer, each with the host that asked."""
    for host, one in shown.items():
        for port in one.unmet:
            peer = shown.get(port["peer"])
            if peer and port["protocol"] == "udp" and f"{port['port']}/udp" in peer.held:
                continue  # its engine has the port, and says nothing to strangers
            admitted = peer and peer.admits and peer.admits["addresses"]
            if admitted and not {one.address, *one.sources} <= set(admitted):
                continue  # its own firewall is closed to this host, and a run opens it
            yield host, port


def _engine_problems(settings: Settings, shown: Mapping[str, Shown]) -> Iterator[str]:
    majors: dict[str, list[str]] = {}
    for host, one in shown.items():
        engine, codename = one.host["engine"], one.host["distribution"]["codename"]
        if engine is None:
            if settings["docker_package_source"] == "distribution" and codename in OLD_ENGINES:
                yield (
                    f"{host} would get Engine {OLD_ENGINES[codename]} from its distribution: a Swarm needs 25 or newer "
                    "here. Expected docker_package_source=docker, or a newer system."
                )
            continue
        if not engine_api.has(engine["api_version"], engine_api.SWARM_HARDENING):
            yield (
                f"The engine of {host} is {engine['version']}: for a Swarm it drops no-new-privileges without an "
                "error. Expected Engine 25 or newer (docker_package_source=docker on a host without an engine)."
            )
        majors.setdefault(re.split(r"\D", engine["version"])[0], []).append(f"{host} ({engine['version']})")
        if engine["live_restore"] and not network_preflight.may_configure(settings, one.host):
            yield (
                f"The engine of {host} has live-restore on, which no node of a Swarm may have: set "
                '"live-restore": false in its configuration file and restart it, which stops its containers; or allow '
                "that here with docker_restart_allowed=true. Without the line, the engine keeps what it had."
            )
    if len(majors) > 1:
        told = "; ".join(", ".join(hosts) for hosts in majors.values())
        yield f"The engines have different major versions: {told}. Expected one for all hosts of a Swarm."


def _clock_problems(shown: Mapping[str, Shown]) -> Iterator[str]:
    if found := clocks_apart(shown):
        first, last, apart = found
        yield (
            f"The clock of {last} is {apart:.0f} s ahead of that of {first}: expected less than {CLOCK_SECONDS:.0f} s. "
            "Synchronize both, such as with systemd-timesyncd or chrony."
        )


def clocks_apart(shown: Mapping[str, Shown]) -> tuple[str, str, float] | None:
    """Return the hosts with the first and the last clock, and by how much these differ; None where all agree."""
    first = min(shown, key=lambda host: shown[host].ahead, default="")
    last = max(shown, key=lambda host: shown[host].ahead, default="")
    if first == last:
        return None
    apart = shown[last].ahead - shown[first].ahead
    sure = apart - shown[last].doubt - shown[first].doubt
    return (first, last, apart) if sure > CLOCK_SECONDS else None


def _subnet_problems(wanted: Wanted, shown: Mapping[str, Shown]) -> Iterator[str]:
    for network in {one["name"]: one for release in wanted.releases for one in release["networks"].values()}.values():
        for host, one in shown.items():
            taken, free = network_preflight.overlaps(network["subnet"], one.host, network["name"])
            if taken:
                proposal = f"{free} is free there" if free else "no private network of this size is free there"
                yield (
                    f"{_setting(network)} is '{network['subnet']}': on {host} it overlaps {', '.join(taken)}; "
                    f"{proposal}. Expected addresses that no host of the cluster uses."
                )


def _setting(network: Network) -> str:
    """Name the setting that a subnet comes from."""
    own = network["segment"] == next(iter(segments.SEGMENTS))
    return "network_subnet" if own else f"network_segment_subnets.{network['segment']}"


def _overlay_problems(wanted: Wanted, shown: Mapping[str, Shown]) -> Iterator[str]:
    """Refuse other networks with the name of an overlay, and an overlay that would have to be made anew."""
    stack = wanted.settings["stack_name"]
    for network in {one["name"]: one for release in wanted.releases for one in release["networks"].values()}.values():
        name, subnet = network["name"], network["subnet"]
        for host, one in shown.items():
            for found in (fact for fact in one.host["networks"] if fact["name"] == name):
                if found["driver"] != "overlay" or found["labels"].get(SWARM_LABEL) != stack:
                    yield (
                        f"The network {name} of {host} is of driver {found['driver']} and not the overlay of stack "
                        f"{stack}: remove it, or choose another network_name."
                    )
                elif wanted.settings["network_recreate_allowed"]:
                    continue
                elif found["subnets"] != [subnet]:
                    yield (
                        f"The network {name} has the subnet {', '.join(found['subnets'])} on {host}, and would get "
                        f"{subnet}. {REMADE} Allow that with network_recreate_allowed=true, or take the old subnet."
                    )
                elif found.get("encrypted", False) != network.get("encrypted", False):
                    yield (
                        f"The network {name} is {'' if found.get('encrypted') else 'not '}encrypted on {host}, and "
                        f"network_encrypted is {str(network.get('encrypted', False)).lower()}. {REMADE} Allow that "
                        "with network_recreate_allowed=true, or take the old value."
                    )


def _ipsec_problems(shown: Mapping[str, Shown]) -> Iterator[str]:
    for host, one in shown.items():
        if one.no_ipsec:
            yield (
                f"network_encrypted is true, and {host} cannot encrypt an overlay: {one.no_ipsec}. Expected a kernel "
                "that has it, or network_encrypted false and a network between the hosts that is your own."
            )


def _image_problems(wanted: Wanted, shown: Mapping[str, Shown]) -> Iterator[str]:
    users: dict[tuple[str, str], list[str]] = {}
    for service in wanted.services:
        image = service.request["TaskTemplate"]["ContainerSpec"]["Image"]
        for host in swarm_placement.carried(service, wanted.groups, wanted.held_by):
            users.setdefault((image, host), []).append(service.name)
    for (image, host), names in users.items():
        why = shown[host].unavailable.get(image) if host in shown else None
        if why:
            some = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
            yield f"The image {image} of {some} has no way to {host}: {why}."


def _node_problems(wanted: Wanted, host: str, facts: HostFacts) -> Iterator[str]:
    """Judge one host by the containers that it may have to run."""
    names: set[str] = set()
    own_stack = {LABEL_STACK: wanted.settings["stack_name"]}
    containers: list[ContainerFact] = [
        {**one, "labels": one["labels"] | own_stack}
        if one["labels"].get(SWARM_LABEL) == wanted.settings["stack_name"]
        else one
        for one in facts["containers"]
    ]
    replicas: dict[str, list[str]] = {}
    share: dict[str, int] = {}
    for service in wanted.services:
        hosts = swarm_placement.carried(service, wanted.groups, wanted.held_by)
        if host in hosts and service.together:
            replicas.setdefault(service.together, []).append(service.name)
            share[service.together] = -(-len(replicas[service.together]) // len(hosts))
        elif host in hosts:
            names.add(service.name)
    for together, count in share.items():
        names.update(replicas[together][:count])
    for release in wanted.releases:
        own = {name: one for name, one in release["containers"].items() if name in names}
        yield from preflight.node_problems(
            wanted.settings, {**facts, "containers": containers}, {**release, "containers": own}
        )
