# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs in a Swarm as lines: its nodes, and the services of a stack with the hosts of their tasks. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.views.releases import columns

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

NODES = ("NODE", "ADDRESS", "ROLE", "STATE", "ENGINE")
SERVICES = ("SERVICE", "TASKS", "ON", "RELEASE", "IMAGE")


def lines(
    nodes: Sequence[NodeFact],
    services: Sequence[ObservedService],
    stack: str,
    elsewhere: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> list[str]:
    """Describe a Swarm and what runs of a stack.

    :param elsewhere: what the stack uses that runs on somebody else's servers
    :param missing: services that should be there, and are not
    """
    names = {node["id"]: node["name"] for node in nodes}
    ours = sorted(one for one in services if one.label("stack") == stack)
    waiting = [
        *(f"{name}: it is missing; ./sse up brings it back" for name in missing),
        *(f"{one.name}: {why}" for one in ours for why in one.waits),
    ]
    table = columns([SERVICES, *(row_of_service(one, names) for one in ours)])
    return [
        *columns([NODES, *(row_of_node(node) for node in sorted(nodes, key=lambda one: one["name"]))]),
        "",
        *(table if ours else [f"No service of the stack {stack} is in this Swarm."]),
        *([""] if waiting else []),
        *waiting,
        *([""] if elsewhere else []),
        *(f"Elsewhere: {one}" for one in elsewhere),
    ]


def absent(services: Sequence[ObservedService], stack: str, applied: Sequence[str]) -> list[str]:
    """Return the applied services that are not there; none where the whole stack is not."""
    ours = {one.name for one in services if one.label("stack") == stack}
    return sorted({*applied} - ours) if ours else []


def document(
    nodes: Sequence[NodeFact],
    services: Sequence[ObservedService],
    stack: str,
    elsewhere: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> Json:
    """Describe a Swarm and what runs of a stack for programs."""
    names = {node["id"]: node["name"] for node in nodes}
    keys = ("name", "address", "role", "leader", "reachable", "state", "availability", "engine")
    return {
        "stack": stack,
        "time": moment.text(),
        "nodes": [{key: node[key] for key in keys} for node in sorted(nodes, key=lambda one: one["name"])],
        "services": [
            {
                "name": one.name,
                "project": one.label("project"),
                "release": int(one.label("release") or 0),
                "image": str(one.container.get("Image", "")),
                "wanted": one.wanted,
                "running": {names.get(node, node): count for node, count in sorted(one.running.items())},
                "update": one.update,
                "waits": one.waits,
            }
            for one in sorted(services)
            if one.label("stack") == stack
        ],
        "missing": list(missing),
        "elsewhere": list(elsewhere),
    }


def row_of_node(node: NodeFact) -> tuple[str, ...]:
    """Describe a node."""
    state = node["state"] if node["availability"] == "active" else f"{node['state']} ({node['availability']})"
    role = node["role"] + (", leads" if node["leader"] else "")
    if node["role"] == "manager" and not node["reachable"]:
        role += ", not reached by the others"
    return node["name"], node["address"], role, state, node["engine"]


def row_of_service(one: ObservedService, names: Mapping[str, str]) -> tuple[str, ...]:
    """Describe a service."""
    where = [f"{names.get(node, node)}{f' ({count})' if count > 1 else ''}" for node, count in one.running.items()]
    tasks = f"{sum(one.running.values())} of {one.wanted}"
    update = f", {one.update}" if one.update not in {"", "completed"} else ""
    return (
        one.name,
        tasks + update,
        ", ".join(sorted(where)) or "-",
        one.label("release"),
        str(one.container.get("Image", "")),
    )
