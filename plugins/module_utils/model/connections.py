# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Reachability: which container may connect to which port of which other container, as the releases declare it.

Pure: releases in, edges and sentences out. Verify measures these edges, the stack firewall allows the declared ones,
the diagram draws them, and doctor explains a failed connection by them.
"""

from __future__ import annotations

import graphlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Declaration, Network, Release, Spec


ON = " on "  # between a container and its host


class Edge(NamedTuple):
    """A possible connection: one container, another, and a TCP port that the other listens on."""

    source: str  # full name
    target: str  # full name
    port: int
    name: str  # what the source calls the target; the target's short name where nothing is declared
    why: str  # empty where nothing is declared

    @property
    def declared(self) -> bool:
        """Tell whether the source has a declared reason to connect."""
        return bool(self.why)


def containers_of(releases: Iterable[Release]) -> dict[str, Spec]:
    """Return every container of these releases by full name."""
    return {name: one for release in releases for name, one in release["containers"].items()}


def networks_of(releases: Iterable[Release]) -> dict[str, Network]:
    """Return every network of these releases by name."""
    return {name: one for release in releases for name, one in release["networks"].items()}


def owners(containers: Mapping[str, Spec]) -> dict[str, str]:
    """Return the full container name behind every name that resolves on the stack's networks."""
    return {alias: name for name, one in containers.items() for alias in (name, *one["aliases"])}


def split(peer: str) -> tuple[str, int]:
    """Split ``name:port``."""
    name, __, port = peer.rpartition(":")
    return name, int(port)


def declared(containers: Mapping[str, Spec]) -> list[Edge]:
    """List the declared edges between these containers; `problems` names the declared ones that lead elsewhere."""
    names = owners(containers)
    found: list[Edge] = []
    for source, one in containers.items():
        for reach in one["reaches"]:
            name, port = split(reach["to"])
            if name in names:
                found.append(Edge(source, names[name], port, name, reach["why"]))
    return found


def reachability(releases: Iterable[Release]) -> list[Edge]:
    """Return the reachability matrix: every ordered pair of containers with every port that the second listens on.

    Give it the releases of all projects of a stack, because a container may connect to one of another project.
    """
    containers = containers_of(releases)
    reasons = {(edge.source, edge.target, edge.port): edge for edge in reversed(declared(containers))}
    return [
        reasons.get((source, target, port)) or Edge(source, target, port, other["container"], "")
        for source in containers
        for target, other in containers.items()
        for port in other["listens"]
        if source != target
    ]


def over_hosts(releases: Iterable[Release], hosts: Mapping[str, Sequence[str]]) -> list[Edge]:
    """Return the matrix of a cluster, where each container is called by its host, too, and one may run on several.

    :param hosts: where each container runs; one that runs nowhere has its name alone
    """
    releases = list(releases)
    places = {name: [on_host(name, one) for one in hosts.get(name, ())] for name in containers_of(releases)}
    found = [
        edge._replace(source=source, target=target)
        for edge in reachability(releases)
        for source in places[edge.source] or [edge.source]
        for target in places[edge.target] or [edge.target]
    ]
    same = [
        Edge(source, target, port, one["container"], "")
        for name, one in containers_of(releases).items()
        for source in places[name]
        for target in places[name]
        for port in one["listens"]
        if source != target
    ]
    return [*found, *same]


def on_host(name: str, host: str) -> str:
    """Call a container of a cluster by its host, too."""
    return f"{name}{ON}{host}"


def without_host(called: str) -> str:
    """Return the name of a container alone."""
    return called.partition(ON)[0]


def problems(releases: Iterable[Release], *, alone: bool = False) -> list[str]:
    """Say which entries of `reaches` lead nowhere, one sentence each.

    :param alone: the stack has other projects, so a name that is missing here may belong to one of them
    """
    releases = list(releases)
    containers = containers_of(releases)
    names = owners(containers)
    absent = {short for release in releases for short in release["unavailable"]}
    known = ", ".join(sorted({one["container"] for one in containers.values()}))
    found: list[str] = []
    for one in containers.values():
        for reach in one["reaches"]:
            name, port = split(reach["to"])
            entry = f"{one['service']}.containers.{one['container']}.reaches: {reach['to']} ({reach['why']})"
            if name in absent or (alone and name not in names):
                continue
            if name not in names:
                found.append(f"{entry}: no container is called {name!r}; there are {known}")
            elif not shared(one, containers[names[name]]):
                segments = f"{one['service']}.containers.{one['container']}.segments"
                found.append(f"{entry}: it shares no network with {names[name]}; add one of its own to {segments}")
            elif port not in containers[names[name]]["listens"]:
                ports = ", ".join(map(str, containers[names[name]]["listens"])) or "no port"
                found.append(
                    f"{entry}: {names[name]} does not listen on {port}, but on {ports}; "
                    "name one of these, or add the port to its `listens`"
                )
    return found


def shared(one: Spec, other: Spec) -> list[str]:
    """List the networks that two containers are both on."""
    return [name for name in one["networks"] if name in other["networks"]]


def cycle(after: Mapping[str, list[str]]) -> list[str]:
    """Return containers that wait for each other, with the first one again at the end; empty where none do."""
    try:
        graphlib.TopologicalSorter(after).prepare()
    except graphlib.CycleError as error:
        return list(reversed(error.args[1]))
    return []


def listens(declared: Declaration) -> list[int]:
    """List the ports of a declared container: published ones, the port of its health check, and those in `listens`."""
    check = declared["healthcheck"]["http"]
    ports = {*declared["listens"], *(one["container_port"] for one in declared["ports"])}
    return sorted(ports | ({check["port"]} if check else set()))
