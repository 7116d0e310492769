# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The topology of a stack as pictures. They show what its releases declare, so a picture is never out of date.

Pure: releases in, Mermaid or SVG out. Replicas with the same connections are one box.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import is_loopback

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec

# Lengths in the SVG, in its own units.
BOX_WIDTH, BOX_HEIGHT, COLUMN_GAP, ROW_GAP, MARGIN, LINE = 200, 70, 110, 26, 30, 16
# One for each network. Their lightness differs, for people who do not see colours.
COLOURS = ("#0969da", "#1a7f37", "#bc4c00", "#8250df", "#bf3989", "#4d6b00")
STYLE = """
    text { font: 12px system-ui, sans-serif; fill: #1f2328 }
    .name { font-weight: 600 }
    .quiet { fill: #57606a }
    .box { fill: #f6f8fa; stroke: #8c959f }
    .edge { fill: none; stroke: #8c959f; marker-end: url(#arrow) }
    #arrow path { fill: #8c959f }
    .label { font-size: 10px; fill: #57606a; paint-order: stroke; stroke: #fff; stroke-width: 3px }
    svg { background: #fff }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .quiet, .label { fill: #9198a1 }
      .box { fill: #161b22; stroke: #6e7681 }
      .label { stroke: #0d1117 }
      svg { background: #0d1117 }
    }
"""
ARROWHEAD = """<defs>
<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 8 4 0 8z"/></marker>
</defs>"""


class Box(NamedTuple):
    """One container, or several replicas with the same connections."""

    id: str
    names: tuple[str, ...]
    addresses: tuple[str, ...]
    networks: tuple[str, ...]
    published: tuple[tuple[bool, int], ...]  # whether this host alone reaches it, and the port of the host

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


class Topology(NamedTuple):
    """Everything that a picture shows."""

    networks: dict[str, str]  # name -> subnet
    boxes: list[Box]
    arrows: list[Arrow]


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
    boxes = [box(names, [containers[name] for name in names]) for names in alike.values()]
    home = {name: one.id for one in boxes for name in one.names}
    ports: dict[tuple[str, str], set[int]] = defaultdict(set)
    for edge in edges:
        ports[home[edge.source], home[edge.target]].add(edge.port)
    networks = {name: one["subnet"] for name, one in connections.networks_of(releases).items()}
    return Topology(networks, boxes, [Arrow(*ends, tuple(sorted(found))) for ends, found in ports.items()])


def box(names: list[str], specs: list[Spec]) -> Box:
    """Describe containers with the same connections."""
    ports = {(is_loopback(one["host_ip"]), one["host_port"]) for spec in specs for one in spec["ports"]}
    return Box(
        id=specs[0]["container"].replace("-", "_"),
        names=tuple(names),
        addresses=tuple(address for spec in specs if (address := next(iter(spec["networks"].values())))),
        networks=tuple(specs[0]["networks"]),
        published=tuple(sorted(ports)),
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
                lines.append(f'    {one.id}["{"<br>".join(filter(None, one.lines))}"]')
        lines.append("  end")
    lines += [f"  {one.source} -->|{numbers(one.ports)}| {one.target}" for one in drawn.arrows]
    return "\n".join(lines) + "\n"


# --- SVG


def columns(drawn: Topology) -> list[list[Box]]:
    """Place every box to the right of all boxes that connect to it (longest path), and close to them in its column."""
    into: dict[str, list[str]] = defaultdict(list)
    for arrow in drawn.arrows:
        into[arrow.target].append(arrow.source)
    depth: dict[str, int] = {}

    def place(name: str, above: frozenset[str]) -> int:
        if name not in depth:
            before = [one for one in into[name] if one not in above]  # an arrow that closes a circle does not count
            depth[name] = max((place(one, above | {name}) + 1 for one in before), default=0)
        return depth[name]

    for one in drawn.boxes:
        place(one.id, frozenset({one.id}))
    made: list[list[Box]] = [[] for __ in range(max(depth.values(), default=0) + 1)]
    for one in drawn.boxes:
        made[depth[one.id]].append(one)
    rank: dict[str, float] = {}
    for column in made:
        middle = {one.id: fmean([rank[name] for name in into[one.id] if name in rank] or [0.5]) for one in column}
        column.sort(key=lambda one: middle[one.id])
        rank |= {one.id: index / max(1, len(column) - 1) for index, one in enumerate(column)}
    return made


def svg(drawn: Topology) -> str:
    """Draw it as an SVG that needs no other file."""
    made = columns(drawn)
    tallest = max(map(len, made))
    height = MARGIN * 2 + tallest * (BOX_HEIGHT + ROW_GAP) + LINE * (len(drawn.networks) + 1)
    width = MARGIN * 2 + len(made) * (BOX_WIDTH + COLUMN_GAP) - COLUMN_GAP
    colour = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(drawn.networks)}
    at: dict[str, tuple[int, int]] = {}
    for index, column in enumerate(made):
        top = MARGIN + (tallest - len(column)) * (BOX_HEIGHT + ROW_GAP) // 2
        for row, one in enumerate(column):
            at[one.id] = (MARGIN + index * (BOX_WIDTH + COLUMN_GAP), top + row * (BOX_HEIGHT + ROW_GAP))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f"<style>{STYLE}</style>",
        ARROWHEAD,
        *svg_arrows(drawn, at),
        *(svg_box(one, at[one.id], colour) for column in made for one in column),
        *svg_legend(drawn, colour, height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def svg_arrows(drawn: Topology, at: dict[str, tuple[int, int]]) -> list[str]:
    """Draw the arrows from right sides to left sides. Each has its own ends, and its ports stand at its head."""
    leaving = {one: ends(one, [arrow for arrow in drawn.arrows if arrow.source == one], at) for one in at}
    arriving = {one: ends(one, [arrow for arrow in drawn.arrows if arrow.target == one], at) for one in at}
    parts: list[str] = []
    for arrow in drawn.arrows:
        x, y = at[arrow.source][0] + BOX_WIDTH, leaving[arrow.source][arrow]
        to_x, to_y = at[arrow.target][0], arriving[arrow.target][arrow]
        bend = max(COLUMN_GAP // 2, abs(to_x - x) // 3)
        path = f"M{x} {y} C{x + bend} {y} {to_x - bend} {to_y} {to_x} {to_y}"
        label = svg_text(to_x - 8, to_y - 4, numbers(arrow.ports), "label", anchor="end")
        parts.append(f'<path class="edge" d="{path}"/>{label}')
    return parts


def ends(one: str, arrows: list[Arrow], at: dict[str, tuple[int, int]]) -> dict[Arrow, int]:
    """Spread the ends of arrows over one side of a box, in the order of the boxes at the other ends."""
    order = sorted(arrows, key=lambda arrow: at[arrow.source if arrow.target == one else arrow.target][1])
    return {arrow: at[one][1] + BOX_HEIGHT * (index + 1) // (len(order) + 1) for index, arrow in enumerate(order)}


def svg_box(one: Box, place: tuple[int, int], colour: dict[str, str]) -> str:
    """Draw a box: names, addresses, published ports, and a mark for each network."""
    x, y = place
    published = [
        f"{who}:{ports}"
        for loopback, who in ((False, "*"), (True, "127.0.0.1"))
        if (ports := one.ports(loopback=loopback))
    ]
    names, addresses = one.lines
    lines = ((names, "name"), (addresses, "quiet"), (" ".join(published), "quiet"))
    marks = [
        f'<circle cx="{x + BOX_WIDTH - 12 - 12 * index}" cy="{y + 12}" r="4" fill="{colour[name]}"/>'
        for index, name in enumerate(one.networks)
    ]
    texts = [svg_text(x + 10, y + 20 + LINE * index, text, kind) for index, (text, kind) in enumerate(lines) if text]
    frame = f'<rect class="box" x="{x}" y="{y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="6"/>'
    return "".join([frame, *texts, *marks])


def svg_legend(drawn: Topology, colour: dict[str, str], height: int) -> list[str]:
    """List the networks at the bottom."""
    top = height - MARGIN // 2 - LINE * (len(drawn.networks) - 1)
    return [
        f'<circle cx="{MARGIN + 4}" cy="{top + LINE * index - 4}" r="4" fill="{colour[name]}"/>'
        + svg_text(MARGIN + 16, top + LINE * index, f"{name}, {subnet}")
        for index, (name, subnet) in enumerate(drawn.networks.items())
    ]


def svg_text(x: int, y: int, text: str, kind: str = "quiet", anchor: str = "start") -> str:
    """Write a line of text."""
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
