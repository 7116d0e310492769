# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a host of a cluster may be drained, or removed. Pure: what a manager shows in, reasons against it out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import swarm_copies
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import works
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import only_moves
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import HOLDS_LABEL, SERVING, Group

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact, ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService

DRAINED = "drain"


class Draining(NamedTuple):
    """A host that is to carry nothing, and what there is beside it."""

    host: str
    groups: Mapping[Group, list[str]]
    nodes: Mapping[str, NodeFact]  # by the name of the host in the inventory
    services: list[SwarmService]
    held: Mapping[str, str]  # the host with the data of each service
    observed: Mapping[str, ObservedService]  # by name
    away: bool = False  # whether services may be away whose data no other host has
    behind: Mapping[str, str] = {}  # what each service lacks that keeps copies with others


def drain_problems(asked: Draining) -> list[str]:
    """Return every reason why a host must not be drained, one sentence each."""
    if asked.host not in asked.nodes:
        there = ", ".join(asked.nodes) or "none, because it has none"
        return [f"{asked.host} is no node of the Swarm: expected one of {there}."]
    return [*_quorum_problems(asked), *_group_problems(asked), *_data_problems(asked)]


def _quorum_problems(asked: Draining) -> Iterator[str]:
    managers = {host: node for host, node in asked.nodes.items() if node["role"] == "manager"}
    if asked.host not in managers:
        return
    left = [host for host, node in managers.items() if host != asked.host and node["reachable"]]
    if 2 * len(left) <= len(managers):
        yield (
            f"{asked.host} is one of {len(managers)} manager{'s'[: len(managers) != 1]}, and {len(left)} would be left "
            "when it is off: more than half must agree, so nothing could be changed, and nothing would start elsewhere "
            "when a host is lost. Expected 3 managers that all reach each other."
        )


def _group_problems(asked: Draining) -> Iterator[str]:
    for group in SERVING:
        hosts = asked.groups.get(group, [])
        able = [host for host in hosts if host != asked.host and host in asked.nodes and works(asked.nodes[host])]
        if asked.host in hosts and not able:
            yield f"No other host of the group {group} gets tasks: without {asked.host} the platform would be away."


def _data_problems(asked: Draining) -> Iterator[str]:
    alone: list[str] = []
    for service in asked.services:
        if asked.held.get(service.name) != asked.host:
            continue
        lacks = list(swarm_copies.lacking(service.name, asked.services, asked.observed, asked.behind))
        if lacks:
            yield (
                f"{asked.host} has a copy of the data of {service.name}, and of the other copies "
                f"{', and '.join(lacks)}: expected all of them to run, and in sync."
            )
        elif not swarm_copies.others_of(service.name, asked.services):
            alone.append(service.name)
    if alone and not asked.away:
        yield (
            f"{asked.host} holds the only copy of the data of {', '.join(alone)}: they would be away until it gets "
            "tasks again. Expected a host without such data; --away (with ansible-playbook: -e asked_away=true) drains "
            "it all the same."
        )


def differing(host: str, around: list[str], actions: list[Action], held: Mapping[str, str]) -> list[str]:
    """Return what a drain would change beside the host: it moves what runs, and rolls nothing out.

    :param around: one line for each change of nodes and networks
    :param held: the host with the data of each service; what is away with the host is no difference
    """
    found = [line for line in around if not line.startswith(f"~ node {host}: availability: ")]
    found += [f"{one.container}: {one.kind}, {'; '.join(one.reasons)}" for one in actions if _differs(one)]
    found += [
        f"{one.container} does not run"
        for one in actions
        if not one.changes and one.health != "healthy" and held.get(one.container) != host
    ]
    return found


def _differs(action: Action) -> bool:
    return action.changes and not only_moves(action)


def removal_problems(asked: Draining, running: list[str]) -> list[str]:
    """Return every reason why a host must not leave the Swarm, one sentence each.

    :param running: the services that have something on the host
    """
    found: list[str] = []
    host, groups, node = asked.host, asked.groups, asked.nodes[asked.host]
    if node["role"] == "manager" or host in groups.get("managers", ()):
        found.append(
            f"{host} is a manager: name another host in its place in the group managers, and run ./sse up, which has "
            "that one decide and this one only work."
        )
    found += _held_problems(asked)
    if node["state"] == "ready" and node["availability"] != DRAINED:
        found.append(f"{host} gets tasks: run ./sse node drain {host} first, which moves its streams.")
    elif node["state"] == "ready" and running:
        found.append(f"{', '.join(running)} still run on {host}: expected nothing there.")
    return found


def left_behind(asked: Draining) -> list[str]:
    """Return the services whose data are on a host."""
    labels = asked.nodes[asked.host]["labels"]
    return sorted(label.removeprefix(HOLDS_LABEL) for label in labels if label.startswith(HOLDS_LABEL))


def _first_has_all(name: str, asked: Draining) -> bool:
    """Tell whether a step to several ended before any but the first had copies: nothing is lost with another one then.

    None is copied before all of them run, so not while there is one that was never made.
    """
    those = {name, *swarm_copies.others_of(name, asked.services)}
    first, *others = [one for one in asked.services if one.name in those]
    made = asked.observed.get(first.name)
    if made is None or name == first.name:
        return False
    return made.stands_complete or any(one.name not in asked.observed for one in others)


def _held_problems(asked: Draining) -> Iterator[str]:
    """Say which data on the host are nowhere else, or would have no other host."""
    alone: list[str] = []
    known = {one.name for one in asked.services}
    if unknown := [name for name in left_behind(asked) if name not in known]:
        labels = " ".join(f"--label-rm {HOLDS_LABEL}{name}" for name in unknown)
        yield (
            f"{asked.host} is labelled as the host of the data of {', '.join(unknown)}, which no service of this stack "
            "is: of more copies than there are now, or of another stack. Expected no such label. If these data may go: "
            f"docker node update {labels} {asked.nodes[asked.host]['name']}"
        )
    for name in left_behind(asked):
        if name not in known:
            continue
        others = swarm_copies.others_of(name, asked.services)
        if not others:
            alone.append(name)
            continue
        if _first_has_all(name, asked):
            continue
        for lacks in swarm_copies.lacking(name, asked.services, asked.observed, asked.behind):
            yield f"{asked.host} has a copy of the data of {name}, and of the other copies {lacks}: expected all."
        taken = {asked.host, *(asked.held[other] for other in others if other in asked.held)}
        if not set(asked.groups.get("data", ())) - taken:
            yield (
                f"{asked.host} has a copy of the data of {name}, and each other host of the group data has one, too: "
                "expected one more host there, to which it moves."
            )
    if alone:
        yield (
            f"{asked.host} has the only copy of the data of {', '.join(alone)}: while it is drained, copy their "
            "directories to another host of the group data, with owners and permissions, and give that host their "
            f"labels: docker node update --label-rm {HOLDS_LABEL}{alone[0]} OLD, then --label-add "
            f"{HOLDS_LABEL}{alone[0]}=true NEW."
        )
