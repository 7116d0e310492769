# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which node of a Swarm carries what: its role, the labels by which services find their hosts, and replicas. Pure.

Where a replica runs is decided here, because a Swarm spreads the tasks of one service, and each replica is a service of
its own. The decision holds while the replica is brought up. After that any host of the group may run it, so the Swarm
starts it elsewhere when its host is lost, and the next run spreads the replicas again.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import (
    EVERY,
    GROUP_LABEL,
    GROUPS,
    Group,
    group_label,
    holds_label,
    hosts_of,
)

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import (
        NodeFact,
        ObservedService,
        SwarmFact,
    )
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json


NODE_IS = "node.id == "


class PlacementError(ValueError):
    """Data have no host, or more than one."""


class NodeStep(NamedTuple):
    """What is to be changed at one node."""

    host: str
    id: str
    role: str
    labels: dict[str, str]  # all that it has afterwards, also those of others
    reasons: list[str]
    availability: str = ""  # active, pause or drain; empty: it stays


class Home(NamedTuple):
    """Where a service that may move is to run."""

    host: str
    node: str  # its id
    left: str = ""  # the host where it runs, if that gets no tasks any more


def by_host(swarm: SwarmFact | None, shown: Mapping[str, Json], silent: Collection[str] = ()) -> dict[str, NodeFact]:
    """Return the nodes of a Swarm by the names of their hosts in the inventory; none where there is no Swarm yet.

    :param shown: for each host of the inventory that answers, at least its ``address``
    :param silent: hosts that do not answer, which are known where they call themselves as the inventory does
    """
    hosts = {one["address"]: host for host, one in shown.items()}
    nodes = swarm["nodes"] if swarm else []
    found = {hosts[node["address"]]: node for node in nodes if node["address"] in hosts}
    return found | {node["name"]: node for node in nodes if node["name"] in silent and node["name"] not in found}


def joined(host: str, address: str) -> NodeFact:
    """Return what managers will show of a host that has just joined."""
    return {
        "id": f"of {host}",
        "name": host,
        "role": "worker",
        "availability": "active",
        "state": "ready",
        "address": address,
        "engine": "",
        "labels": {},
        "leader": False,
        "reachable": False,
    }


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
    sets = {one.name: one.together for one in services if one.pinned and one.together}
    for name in pinned:
        if name not in found:
            others = [other for other in sets if sets[other] == sets.get(name)]
            having = {found[other] for other in others if other in found}
            free = [host for host in hosts.get("data", ()) if host not in having]
            if not hosts.get("data"):
                raise PlacementError(f"{name} has data, and the group data has no host; expected one at least")
            if not free:
                raise PlacementError(
                    f"{', '.join(others)} keep copies for each other, and the group data has {len(hosts['data'])} "
                    f"host{'s'[: len(hosts['data']) != 1]}; expected {len(others)}, one for each"
                )
            taken = list(found.values())
            found[name] = min(free, key=taken.count)
    return found


def carried(service: SwarmService, hosts: Mapping[Group, list[str]], held: Mapping[str, str]) -> list[str]:
    """Return the hosts that may run a service.

    :param held: the host that holds the data of each service
    """
    return [held[service.name]] if service.name in held else hosts_of(service.group, hosts)


def homes(
    services: list[SwarmService],
    hosts: Mapping[Group, list[str]],
    nodes: Mapping[str, NodeFact],
    observed: Mapping[str, ObservedService],
) -> dict[str, str]:
    """Return the host where each service that may move is to run: where it does, unless replicas are unequally spread.

    Replicas of one service are spread as equally as their number allows, with as few moves as possible. A service that
    is alone is never moved. A host whose node is down or gets no tasks is left out.

    :param nodes: by the name of its host in the inventory
    :param observed: what runs of each service, by its name
    """
    host_of = {nodes[host]["id"]: host for host in nodes}
    moving = [one for one in services if one.moves]
    found: dict[str, str] = {}
    for group in GROUPS:
        able = [host for host in hosts.get(group, ()) if host in nodes and works(nodes[host])]
        mine = [one for one in moving if one.group == group and able]
        sets: dict[str, list[str]] = {}
        for one in mine:
            sets.setdefault(one.together or f"{one.name} alone", []).append(one.name)
        now = {
            one.name: host
            for one in mine
            if one.name in observed
            for host in [next((host_of[node] for node in observed[one.name].running if node in host_of), "")]
            if host in able
        }
        # Replicas first: what is alone then fills the hosts that have less.
        for names in sorted(sets.values(), key=len, reverse=True):
            found |= spread(names, {name: now[name] for name in names if name in now}, able, Counter(found.values()))
    return {one.name: found[one.name] for one in moving if one.name in found}


def spread(names: list[str], now: Mapping[str, str], able: list[str], laden: Mapping[str, int]) -> dict[str, str]:
    """Spread names over hosts, at most one more on one than on another, and move as few as possible.

    :param now: where some of them are
    :param laden: how much a host has beside them; of hosts that are alike, the one with the least gets more
    """
    has = Counter(now.values())
    if len(names) == 1 and now:
        return dict(now)
    least, more = divmod(len(names), len(able))
    # Who has most of them keeps one more, so that the others move.
    by_need = sorted(able, key=lambda host: (-has[host], laden.get(host, 0), able.index(host)))
    room = {host: least + (by_need.index(host) < more) for host in by_need}
    found: dict[str, str] = {}
    for name in names:
        if name in now and room[now[name]]:
            found[name] = now[name]
            room[now[name]] -= 1
    for name in names:
        if name not in found:
            taken = Counter(found.values())
            host = min((one for one in able if room[one]), key=lambda one, taken=taken: taken[one])
            found[name] = host
            room[host] -= 1
    return found


def works(node: NodeFact) -> bool:
    """Tell whether a node runs what it is given."""
    return node["state"] == "ready" and node["availability"] == "active"


def at_home(request: Json, node: str) -> Json:
    """Return a request whose tasks run on one node alone.

    A Swarm replaces no task where the constraints alone change and its node meets the new ones (moby/swarmkit,
    manager/orchestrator/task.go), so the request without this one follows at once.
    """
    asked = copy.deepcopy(request)
    asked["TaskTemplate"]["Placement"]["Constraints"].append(f"{NODE_IS}{node}")
    return asked


def steps(
    stack: str,
    hosts: Mapping[Group, list[str]],
    held: Mapping[str, str],
    nodes: Mapping[str, NodeFact],
    availability: Mapping[str, str] | None = None,
) -> Iterator[NodeStep]:
    """Yield what has to change at nodes so that each has its role and its labels; labels of others stay.

    A manager that is to be a worker comes last: who takes its place decides by then, so that one may be lost meanwhile.

    :param held: the host that holds the data of each service
    :param nodes: by the name of its host in the inventory
    :param availability: of the hosts where it may have to change
    """
    deciding = hosts.get("managers", ())
    for host, node in sorted(nodes.items(), key=lambda one: one[1]["role"] == "manager" and one[0] not in deciding):
        own = {group_label(stack, group) for group in (*GROUPS, EVERY) if host in hosts_of(group, hosts)}
        own |= {holds_label(name) for name, holder in held.items() if holder == host}
        theirs = {key: value for key, value in node["labels"].items() if not _is_ours(key, stack)}
        wanted = theirs | dict.fromkeys(sorted(own), "true")
        role = "manager" if host in deciding else "worker"
        reasons = [f"role: {node['role']} -> {role}"] if node["role"] != role else []
        reasons += [f"label {key}" for key in wanted if node["labels"].get(key) != wanted[key]]
        reasons += [f"no label {key}" for key in node["labels"] if key not in wanted]
        available = (availability or {}).get(host, node["availability"])
        if available != node["availability"]:
            reasons.append(f"availability: {node['availability']} -> {available}")
        if reasons:
            yield NodeStep(host, node["id"], role, wanted, reasons, available)


def without_data(services: Sequence[SwarmService], nodes: Mapping[str, NodeFact]) -> Iterator[NodeStep]:
    """Yield what has to change at nodes so that none is the host of data of these services, nor of an earlier copy.

    :param nodes: by the name of its host in the inventory
    """
    for host, node in nodes.items():
        gone = [
            label
            for service in services
            for label in node["labels"]
            if label == (own := holds_label(service.name)) or label.removeprefix(f"{own}-").isdigit()
        ]
        if gone:
            rest = {key: value for key, value in node["labels"].items() if key not in gone}
            reasons = [f"no label {label}" for label in dict.fromkeys(gone)]
            yield NodeStep(host, node["id"], node["role"], rest, reasons, node["availability"])


def _is_ours(label: str, stack: str) -> bool:
    """Tell whether a label is one of this stack's groups. Who holds data is said once, and never taken back here."""
    return label.startswith(f"{GROUP_LABEL}{stack}.")
