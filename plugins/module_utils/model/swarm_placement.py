# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which node of a Swarm carries what: its role, and the labels by which services find their hosts. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    GROUP_LABEL,
    GROUPS,
    Group,
    group_label,
    holds_label,
)

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, SwarmFact
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json


class PlacementError(ValueError):
    """Data have no host, or more than one."""


class NodeStep(NamedTuple):
    """What is to be changed at one node."""

    host: str
    id: str
    role: str
    labels: dict[str, str]  # all that it has afterwards, also those of others
    reasons: list[str]


def by_host(swarm: SwarmFact | None, shown: Mapping[str, Json]) -> dict[str, NodeFact]:
    """Return the nodes of a Swarm by the names of their hosts in the inventory; none where there is no Swarm yet.

    :param shown: for each host of the inventory, at least its ``address``
    """
    hosts = {one["address"]: host for host, one in shown.items()}
    return {hosts[node["address"]]: node for node in (swarm["nodes"] if swarm else []) if node["address"] in hosts}


def holders(
    services: list[SwarmService], hosts: Mapping[Group, list[str]], nodes: Mapping[str, NodeFact]
) -> dict[str, str]:
    """Return the host that holds the data of each service that has some: the one that has them, or the least laden.

    :param nodes: by the name of its host in the inventory
    :raises PlacementError: where they are on a host that is not to have any, or where two hosts say that they have them
    """
    pinned = [one.name for one in services if one.pinned]
    found: dict[str, str] = {}
    for name in pinned:
        having = [host for host, node in nodes.items() if holds_label(name) in node["labels"]]
        if len(having) > 1:
            raise PlacementError(
                f"{' and '.join(having)} are both labelled as the host of the data of {name}; expected one. Compare "
                f"them, then: docker node update --label-rm {holds_label(name)} NODE"
            )
        if having and having[0] not in hosts.get("data", ()):
            raise PlacementError(
                f"{having[0]} holds the data of {name} and is not in the group data any more; expected it there until "
                "the data are elsewhere"
            )
        if having:
            found[name] = having[0]
    for name in pinned:
        if name not in found:
            if not hosts.get("data"):
                raise PlacementError(f"{name} has data, and the group data has no host; expected one at least")
            taken = list(found.values())
            found[name] = min(hosts["data"], key=taken.count)
    return found


def steps(
    stack: str, hosts: Mapping[Group, list[str]], held: Mapping[str, str], nodes: Mapping[str, NodeFact]
) -> Iterator[NodeStep]:
    """Yield what has to change at nodes so that each has its role and its labels; labels of others stay.

    :param held: the host that holds the data of each service
    :param nodes: by the name of its host in the inventory
    """
    for host, node in nodes.items():
        own = {group_label(stack, group) for group in GROUPS if host in hosts.get(group, ())}
        own |= {holds_label(name) for name, holder in held.items() if holder == host}
        theirs = {key: value for key, value in node["labels"].items() if not _is_ours(key, stack)}
        wanted = theirs | dict.fromkeys(sorted(own), "true")
        role = "manager" if host in hosts.get("managers", ()) else "worker"
        reasons = [f"role: {node['role']} -> {role}"] if node["role"] != role else []
        reasons += [f"label {key}" for key in wanted if node["labels"].get(key) != wanted[key]]
        reasons += [f"no label {key}" for key in node["labels"] if key not in wanted]
        if reasons:
            yield NodeStep(host, node["id"], role, wanted, reasons)


def _is_ours(label: str, stack: str) -> bool:
    """Tell whether a label is one of this stack's groups. Who holds data is said once, and never taken back here."""
    return label.startswith(f"{GROUP_LABEL}{stack}.")
