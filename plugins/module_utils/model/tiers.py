# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The tiers of a stack, from the world to those who watch it: where a picture shows each container.

A declaration names the tier of its container. Where it names none, as in releases of earlier versions, the connections
of the container tell. Pure: specs in, tiers out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec, Tier

# In the order in which a picture shows them, each with its title. The world itself comes before the first one.
TIERS: Final[dict[Tier, str]] = {
    "entry": "Entry",
    "replicas": "Replicas",
    "data": "Data",
    "watchers": "Watchers",
}
WORLD: Final = "World"
EVERYBODY: Final = "everybody"  # who reaches what is published on an address that others reach
THIS_HOST: Final = "this host"  # who reaches what is published on a loopback address


def of_all(containers: Mapping[str, Spec]) -> dict[str, Tier]:
    """Return the tier of each container, by full name.

    :param containers: of every project of the stack
    """
    edges = connections.declared(containers)
    reaches = {name: {edge.target for edge in edges if edge.source == name} for name in containers}
    rolling = {name for name, one in containers.items() if one["rolling"]}
    found: dict[str, Tier] = {}
    for name, one in containers.items():
        found[name] = one.get("tier") or guessed(name, one, reaches, rolling)
    entries = {name for name, tier in found.items() if tier == "entry"}
    for name, one in containers.items():  # what a proxy passes requests on to is a service beside the replicas
        if not one.get("tier") and found[name] == "watchers" and any(name in reaches[entry] for entry in entries):
            found[name] = "replicas"
    return found


def guessed(name: str, one: Spec, reaches: Mapping[str, set[str]], rolling: set[str]) -> Tier:
    """Return the tier that the connections of a container tell."""
    if name in rolling:
        return "replicas"
    if reaches[name] & rolling:
        return "entry" if any(not is_loopback(port["host_ip"]) for port in one["ports"]) else "watchers"
    return "data" if any(name in reaches[replica] for replica in rolling) else "watchers"
