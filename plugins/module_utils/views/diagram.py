# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The topology of a stack as pictures. They show what its releases declare, so a picture is never out of date.

Pure: releases in, Mermaid out. `svg` draws the same as a picture. Replicas with the same connections are one box.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import connections, elsewhere, tiers
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec, Tier


NO_HOST = "no host"  # in the place of hosts, for what runs nowhere


class Box(NamedTuple):
    """One container, or several replicas with the same connections."""

    id: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    published: tuple[tuple[bool, int], ...]  # whether this host alone reaches it, and the port of the host
    tier: Tier
    hosts: tuple[str, ...] = ()  # of a cluster, where they run

    @property
    def on(self) -> str:
        """Where they run in a cluster."""
        return f"on {', '.join(self.hosts)}" if self.hosts else ""

    @property
    def lines(self) -> tuple[str, str]:
        """The names, and the reserved addresses; both only from the first to the last."""
        return span(self.names), span(self.addresses)

    def ports(self, *, loopback: bool) -> str:
        """List the ports that everybody reaches, or those that this host alone reaches."""
        return numbers(port for local, port in self.published if local == loopback)


class Arrow(NamedTuple):
    """One box connects to another, on these ports."""

    source: str
    target: str
    ports: tuple[int, ...]


class Outside(NamedTuple):
    """What runs on somebody else's servers, and who connects to it."""

    name: str
    sources: tuple[str, ...]  # boxes
    ports: tuple[int, ...]

    @property
    def id(self) -> str:
        """Its id, which no box has."""
        return re.sub(r"\W", "_", f"elsewhere {self.name}").lower()


class Topology(NamedTuple):
    """Everything that a picture shows."""

    networks: dict[str, str]  # name -> subnet
    boxes: list[Box]
    arrows: list[Arrow]
    outside: tuple[Outside, ...] = ()


def in_cluster(drawn: Topology, running: Mapping[str, Iterable[str]]) -> Topology:
    """Return the picture of a cluster: with the hosts, and without ports that only one host would publish.

    :param running: the hosts where each container runs
    """
    boxes = [
        one._replace(
            addresses=(),
            published=tuple(port for port in one.published if not port[0]),
            hosts=tuple(dict.fromkeys(host for name in one.names for host in running.get(name, ()))) or (NO_HOST,),
        )
        for one in drawn.boxes
    ]
    return drawn._replace(boxes=boxes)


def on_hosts(drawn: Topology, running: Mapping[str, Iterable[str]], hosts: Iterable[str]) -> Topology:
    """Return the picture of a cluster with a box for each host where a service runs, and every connection of those.

    :param running: the hosts where each container runs
    :param hosts: all of them, in the order in which they are drawn
    """
    order = [*hosts, NO_HOST]
    placed: dict[str, list[Box]] = {}
    for one in in_cluster(drawn, running).boxes:
        where = {name: tuple(running.get(name, ())) or (NO_HOST,) for name in one.names}
        here = {host: tuple(name for name in one.names if host in where[name]) for host in order}
        placed[one.id] = [
            one._replace(id=f"{one.id}@{host}", names=names, hosts=(host,)) for host, names in here.items() if names
        ]
    arrows = [
        Arrow(source.id, target.id, one.ports)
        for one in drawn.arrows
        for source in placed[one.source]
        for target in placed[one.target]
        if source is not target
    ]
    outside = tuple(
        one._replace(sources=tuple(box.id for source in one.sources for box in placed[source])) for one in drawn.outside
    )
    return Topology(drawn.networks, [box for boxes in placed.values() for box in boxes], arrows, outside)


def span(values: tuple[str, ...]) -> str:
    """Shorten a sequence to its first and its last value."""
    return " … ".join(values if len(values) < 3 else (values[0], values[-1]))


def numbers(ports: Iterable[int]) -> str:
    """Join ports."""
    return ", ".join(map(str, ports))


def topology(releases: Iterable[Release]) -> Topology:
    """Read from releases what a picture shows."""
    releases = list(releases)
    containers = connections.containers_of(releases)
    edges = connections.declared(containers)
    used: dict[str, set[tuple[str, str, int]]] = defaultdict(set)
    for edge in edges:
        used[edge.source].add(("to", edge.target, edge.port))
        used[edge.target].add(("from", edge.source, edge.port))
    alike: dict[object, list[str]] = defaultdict(list)
    for name, one in containers.items():
        alike[(one["service"], frozenset(used[name])) if one["rolling"] else name].append(name)
    where = tiers.of_all(containers)
    boxes = [box(names, [containers[name] for name in names], where[names[0]]) for names in alike.values()]
    home = {name: one.id for one in boxes for name in one.names}
    ports: dict[tuple[str, str], set[int]] = defaultdict(set)
    for edge in edges:
        ports[home[edge.source], home[edge.target]].add(edge.port)
    networks = {name: one["subnet"] for name, one in connections.networks_of(releases).items()}
    arrows = [Arrow(*ends, tuple(sorted(found))) for ends, found in ports.items()]
    return Topology(networks, boxes, arrows, tuple(outside(releases, home)))


def outside(releases: Iterable[Release], home: Mapping[str, str]) -> Iterator[Outside]:
    """Return what runs elsewhere.

    :param home: the id of the box of each container
    """
    for release, one in elsewhere.of_releases(releases):
        users = [name for name, spec in release["containers"].items() if spec["container"] in one["containers"]]
        ports = sorted({connections.split(server)[1] for server in one["servers"]})
        yield Outside(one["name"], tuple(dict.fromkeys(home[name] for name in users)), tuple(ports))


def box(names: list[str], specs: list[Spec], tier: Tier) -> Box:
    """Describe containers with the same connections."""
    ports = {(is_loopback(one["host_ip"]), one["host_port"]) for spec in specs for one in spec["ports"]}
    return Box(
        id=specs[0]["container"].replace("-", "_"),
        names=tuple(names),
        addresses=tuple(address for spec in specs if (address := next(iter(spec["networks"].values())))),
        networks=tuple(specs[0]["networks"]),
        published=tuple(sorted(ports)),
        tier=tier,
    )


# --- Mermaid (https://mermaid.js.org/syntax/flowchart.html)


def mermaid(drawn: Topology) -> str:
    """Draw it as a Mermaid flowchart."""
    lines = ["flowchart LR"]
    for loopback, who in ((False, "world([everybody])"), (True, "host([this host])")):
        for one in drawn.boxes:
            if ports := one.ports(loopback=loopback):
                lines.append(f"  {who} -->|{ports}| {one.id}")
    for index, (network, subnet) in enumerate(drawn.networks.items()):
        lines.append(f"  subgraph net{index} [{network}, {subnet}]")
        for one in drawn.boxes:
            if one.networks[0] == network:
                lines.append(f'    {one.id}["{"<br>".join(filter(None, (*one.lines, one.on)))}"]')
        lines.append("  end")
    lines += [f"  {one.source} -->|{numbers(one.ports)}| {one.target}" for one in drawn.arrows]
    for one in drawn.outside:
        lines += [f"  {source} -->|{numbers(one.ports)}| {one.id}([{one.name} elsewhere])" for source in one.sources]
    return "\n".join(lines) + "\n"
