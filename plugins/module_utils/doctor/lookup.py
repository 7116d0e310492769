# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What several rules look up in the facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import KERNEL, SHARED
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import (
    Container,
    DoctorNetwork,
    Facts,
    ListedEndpoint,
)
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of


def network(facts: Facts, name: str) -> DoctorNetwork | None:
    """Return the network that has this name."""
    return next((one for one in facts["networks"] if one["name"] == name), None)


def bridge(facts: Facts, name: str) -> str:
    """Return the name of a network's bridge on the host; empty where it is not known."""
    return next((one["device"] for one in facts["networks"] if one["name"] == name), "")


def gateway(facts: Facts, name: str) -> str:
    """Return the host's own IPv4 address on a network, from which it connects; empty where it is not known."""
    return next((one["gateway"] for one in facts["networks"] if one["name"] == name), "")


def container(facts: Facts, name: str) -> Container | None:
    """Return the container that has this full name."""
    return next((one for one in facts["containers"] if one["name"] == name), None)


def container_at(facts: Facts, address: str) -> Container | None:
    """Return the running container that has this address."""
    running = (one for one in facts["containers"] if one["running"])
    return next((one for one in running if address in [each["address"] for each in one["networks"].values()]), None)


def names_on(container: Container, network: str) -> set[str]:
    """Return the names that lead to a container on one of its networks."""
    return {container["name"], *container["networks"][network]["aliases"]} - {container["id"][:12]}


def addresses_inside(container: Container) -> list[str] | None:
    """Return the addresses of a container's own interfaces; None where they cannot be seen, or are the host's."""
    if container["inside"] is None or container["mode"] == "host":
        return None
    return [one.partition("/")[0] for each in container["inside"]["interfaces"] for one in each["addresses"]]


def unclaimed_endpoints(facts: Facts) -> Iterator[tuple[DoctorNetwork, ListedEndpoint, Container | None]]:
    """Find endpoints that a network lists and that no container has, with the container that is listed if it exists."""
    known = {one["id"]: one for one in facts["containers"]}
    for network in facts["networks"]:
        for identity, endpoint in network["endpoints"].items():
            container = known.get(identity)
            if container is None or network["name"] not in container["networks"]:
                yield network, endpoint, container


def detached(facts: Facts) -> dict[str, list[str]]:
    """Return the networks that a container's release declares and that it was taken off, by the container's name."""
    there = {one["name"] for one in facts["networks"]}
    found: dict[str, list[str]] = {}
    for name, spec in containers_of(facts["releases"]).items():
        one = container(facts, name)
        lost = [network for network in spec["networks"] if network in there and one and network not in one["networks"]]
        if one and one["ours"] and lost:
            found[name] = lost
    return found


def restarting(facts: Facts) -> list[str]:
    """List the containers of the stack that end and are started again and again."""
    return [one["name"] for one in facts["containers"] if one["ours"] and one["status"] == "restarting"]


def disturbed(facts: Facts) -> set[str]:
    """Return the containers with a fault of their own that explains what else goes wrong around them."""
    return {*detached(facts), *restarting(facts), *facts["unplugged"]}


def cut_off(facts: Facts) -> set[str]:
    """Return the containers that the host's side of their networks keeps from others: that explains what fails."""
    gone = {one.subject for one in facts["host_side"]}
    on_them = [one for one in facts["containers"] if not gone.isdisjoint(one["networks"])]
    everybody = [one for one in facts["containers"] if one["ours"]] if gone & {KERNEL, SHARED} else []
    return {one["name"] for one in (*on_them, *everybody)}


def listed(names: Iterable[str]) -> str:
    """List names in a sentence."""
    return ", ".join(sorted(names)) or "none"
