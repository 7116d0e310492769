# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The matrix of a cluster: each host tries all connections from the containers that it runs, to those of every host.

What is tried and how it is judged is what one host does (`matrix`). Here is only where the containers are.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import SERVICE
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import addresses
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.model import connections, segments
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge, on_host, without_host
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell, Place, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
    from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

# Every host has its containers on this bridge, too, by which they get out. It is no way from one to another.
BRIDGE = "docker_gwbridge"
TASK = "com.docker.swarm.task.id"
TRIED_AT_ONCE = 8  # containers of one host
# Engines tell each other where containers are. After a change of the Swarm, packets between two hosts may be lost until
# they did: one such connection was away for more than the 5 s of one try, when a manager had become a worker.
AGAIN_SECONDS = 15.0
PAUSE_SECONDS = 1.0
CLOSED = "# This puts every service on the networks that it declares, and on no other."
# Of several containers of one name, the dashboard shows the first of these; what was not tried, last.
WORST: tuple[Verdict, ...] = ("leak", "broken", "open", "refused", "reached", "unmeasured")


class Task(TypedDict):
    """A container that runs for a service on one host."""

    service: str
    task: str  # its id in the Swarm
    started: str
    pid: int
    addresses: dict[str, str]  # by network
    bridge: str  # its address on the bridge of its host; empty where it has none


class Found(TypedDict):
    """What one host runs, and, where it is a manager, which tasks are to run."""

    tasks: list[Task]
    wanted: list[str] | None  # ids; None where this host cannot know


class Everywhere(NamedTuple):
    """What all hosts run."""

    hosts: Mapping[str, Mapping[str, Task]]  # by host, then by service
    complete: bool  # every host of the cluster has answered


def found(api: Api, swarm: SwarmApi, stack: str) -> Found:
    """Say what runs on this host. Where no engine answers, that is nothing."""
    tasks: list[Task] = []
    try:
        bridge = members(api)
        for listed in api.containers():
            labels = listed["Labels"] or {}
            if labels.get(SWARM_LABEL) == stack and SERVICE in labels and listed["State"] == "running":
                try:
                    one = api.container(listed["Id"])
                except RefusedError:  # it has ended since, and says nothing of the others
                    continue
                state = one["State"]
                tasks.append(
                    {
                        "service": labels[SERVICE],
                        "task": labels.get(TASK, ""),
                        "started": state["StartedAt"],
                        "pid": state["Pid"],
                        "addresses": addresses(one),
                        "bridge": bridge.get(listed["Id"], ""),
                    }
                )
    except OSError:  # whoever looks at the hosts tells of it
        return {"tasks": [], "wanted": None}
    try:
        return {"tasks": tasks, "wanted": sorted(swarm.wanted_tasks())}
    except OSError:  # only a manager knows
        return {"tasks": tasks, "wanted": None}


def members(api: Api) -> dict[str, str]:
    """Return the address of each container on the bridge of this host, by its id."""
    try:
        listed = api.network(BRIDGE).get("Containers") or {}
    except RefusedError:
        return {}
    return {identity: one["IPv4Address"].partition("/")[0] for identity, one in listed.items()}


def everywhere(shown: Mapping[str, Found], hosts: Iterable[str]) -> Everywhere:
    """Bring together what hosts run; of what is about to end, nobody should find the name any more.

    :param hosts: all of the cluster, also those that do not answer
    """
    wanted = next((one["wanted"] for one in shown.values() if one["wanted"] is not None), None)
    by_host: dict[str, dict[str, Task]] = {}
    for host, one in shown.items():
        tasks = sorted(one["tasks"], key=lambda task: task["started"])
        by_host[host] = {task["service"]: task for task in tasks if wanted is None or task["task"] in wanted}
    return Everywhere(by_host, set(hosts) <= set(shown))


def edges(releases: Sequence[Release], all_of: Everywhere) -> list[Edge]:
    """Return every possible connection between what runs on all hosts."""
    where: dict[str, list[str]] = {}
    for host, tasks in all_of.hosts.items():
        for service in tasks:
            where.setdefault(service, []).append(host)
    return connections.over_hosts(releases, where)


def enforced(releases: Iterable[Release]) -> bool:
    """Tell whether what shares no network may not connect."""
    return any(release["layout"] == segments.SEGMENTED for release in releases)


def places(all_of: Everywhere, host: str) -> dict[str, Place]:
    """Return where each container is, as one host sees it: the bridges of the others mean something else there."""
    of_name: dict[str, dict[str, list[str]]] = {}
    for other, tasks in all_of.hosts.items():
        for service, task in tasks.items():
            of_name.setdefault(service, {})[other] = list(task["addresses"].values())
    return {
        on_host(service, other): Place(
            task["pid"] if other == host else 0,
            task["addresses"],
            others=[task["bridge"]] if other == host and task["bridge"] else [],
            namesakes=[one for there, known in of_name[service].items() if there != other for one in known]
            if all_of.complete
            else None,
        )
        for other, tasks in all_of.hosts.items()
        for service, task in tasks.items()
    }


def tried(
    releases: Sequence[Release],
    all_of: Everywhere,
    host: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> tuple[list[Cell], list[Finding]]:
    """Try every connection from what runs on this host; return what came of each, and who could not be asked.

    Where a declared one fails, it is tried again for a while.
    """
    known, every = places(all_of, host), edges(releases, all_of)
    own = [on_host(service, host) for service in all_of.hosts.get(host, {})]
    closes = enforced(releases)

    def measured(source: str) -> list[Cell]:
        wanted = [edge for edge in every if edge.source == source]
        until = clock() + AGAIN_SECONDS
        while True:
            cells = matrix.measure(known[source], wanted, known, enforced=closes, ports=False)
            if clock() > until or not any(cell.verdict == "broken" for cell in cells):
                return cells
            sleep(PAUSE_SECONDS)

    def of(source: str) -> list[Cell] | Finding:
        try:
            return measured(source)
        except OSError as error:
            wrong = "its network namespace could not be entered"
            return Finding("connection", source, wrong, str(error), ("./sse verify",))

    with ThreadPoolExecutor(TRIED_AT_ONCE) as pool:
        results = list(pool.map(of, own))
    cells = [cell for one in results if not isinstance(one, Finding) for cell in one]
    return cells, [one for one in results if isinstance(one, Finding)]


def joined(releases: Sequence[Release], all_of: Everywhere, cells: Iterable[Cell]) -> list[Cell]:
    """Return the whole matrix, in its order, with what nobody could try."""
    measured = {cell.edge: cell for cell in cells}
    return [measured.get(edge) or Cell(edge, "unmeasured") for edge in edges(releases, all_of)]


def by_name(cells: Iterable[Cell]) -> list[Cell]:
    """Return the matrix without hosts, as the dashboard draws it: of several containers of one name, the worst."""
    found: dict[tuple[str, str, int], Cell] = {}
    for cell in cells:
        source, target = without_host(cell.edge.source), without_host(cell.edge.target)
        got = f"from {cell.edge.source} to {cell.edge.target}: {cell.got}" if cell.got else ""
        edge = cell.edge._replace(source=source, target=target)
        key = source, target, edge.port
        if source != target and (key not in found or rank(cell) < rank(found[key])):
            found[key] = cell._replace(edge=edge, got=got)
    return list(found.values())


def rank(cell: Cell) -> int:
    """Return how much a cell says; the lowest is shown."""
    return WORST.index(cell.verdict)


def packed(cells: Iterable[Cell]) -> list[list[Any]]:
    """Return cells as a module hands them over."""
    return [[list(cell.edge), *cell[1:]] for cell in cells]


def unpacked(rows: Iterable[Sequence[Any]]) -> list[Cell]:
    """Return what a module handed over."""
    return [Cell(Edge(*row[0]), *row[1:]) for row in rows]
