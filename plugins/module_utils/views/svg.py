# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The topology of a stack as an SVG that needs no other file: tiers, networks, routed arrows, and how each box is."""

from __future__ import annotations

import re
from collections import Counter
from html import escape
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import tiers
from ansible_collections.sse.platform.plugins.module_utils.views import routing
from ansible_collections.sse.platform.plugins.module_utils.views.diagram import Box, Topology, numbers, span

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.views.routing import Plan, Point, Route
    from ansible_collections.sse.platform.plugins.module_utils.views.status import Seen

WORLD = (tiers.EVERYBODY, tiers.THIS_HOST)
GUTTER, HEAD, LINE, ROUND = 96, 66, 17, 6
PILL_HEIGHT, MARGIN = 34, 16
AROUND = 14  # from a box to the frame of its host in a cluster
LABEL_LINE, LABEL_LINES, LABEL_LETTER = 11, 4, 5.6  # of the ports at the heads of arrows
LONGEST = 30  # letters of the name of such a host
LETTER, BOLD = 6.7, 7.8  # how wide a character is at most, on the whole
# One for each network. Their lightness differs, for people who do not see colours.
COLOURS = ("#0969da", "#1a7f37", "#bc4c00", "#8250df", "#bf3989", "#4d6b00")
GOOD = {"healthy", "running"}
BUSY = {"starting", "restarting", "paused", "created"}
STYLE = """
    svg { color-scheme: light dark; font: 12px system-ui, sans-serif }
    text { fill: #1f2328 }
    .page { fill: #ffffff }
    .title { font-size: 18px; font-weight: 650 }
    .name { font-weight: 600 }
    .quiet { fill: #57606a }
    .tier { font-size: 11px; font-weight: 600; letter-spacing: .06em; fill: #57606a }
    .frame { fill: #f6f8fa; stroke: #d0d7de }
    .net { fill: none; stroke-dasharray: 5 4; stroke-width: 1.5 }
    .box { fill: #ffffff; stroke: #8c959f }
    .world { fill: #ddf4ff; stroke: #54aeff }
    .edge { fill: none; stroke: #6e7781; stroke-width: 1.4; marker-end: url(#arrow) }
    .published { stroke: #0969da }
    .label { font-size: 10px; fill: #424a53; paint-order: stroke; stroke: #f6f8fa; stroke-width: 4px }
    .good { fill: #1a7f37 } .busy { fill: #9a6700 } .bad { fill: #cf222e } .unknown { fill: #8c959f }
    #arrow path { fill: #57606a }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3 }
      .page { fill: #0d1117 }
      .quiet, .tier { fill: #9198a1 }
      .frame { fill: #151b23; stroke: #3d444d }
      .box { fill: #0d1117; stroke: #656c76 }
      .world { fill: #121d2f; stroke: #388bfd }
      .edge { stroke: #9198a1 }
      .published { stroke: #58a6ff }
      .label { fill: #d1d7e0; stroke: #151b23 }
      .good { fill: #3fb950 } .busy { fill: #d29922 } .bad { fill: #f85149 } .unknown { fill: #656c76 }
      #arrow path { fill: #9198a1 }
    }
"""
ARROWHEAD = """<defs>
<marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6.5" markerHeight="6.5" orient="auto">
<path d="M0 0 8 4 0 8z"/></marker>
</defs>"""


class Health(NamedTuple):
    """How the containers of a box are."""

    mood: str  # good, busy, bad or unknown
    text: str


def draw(
    drawn: Topology,
    seen: Sequence[Seen] = (),
    title: str = "",
    when: str = "",
    hosts: Sequence[str] = (),
    cluster: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Draw it.

    :param seen: how each container is; those that are not in it are drawn as unknown
    :param when: when that was looked at
    :param hosts: of a cluster, from the top: each one has its boxes, and the networks are around all of them
    :param cluster: how each container of a cluster is, by `at_host`
    """
    arrows = {(one.source, one.target): numbers(one.ports) for one in drawn.arrows}
    arrows |= {(who, one.id): ports for who, one, ports in published(drawn)}
    arrows |= {(source, one.id): numbers(one.ports) for one in drawn.outside for source in one.sources}
    names = [who for who in WORLD if any(source == who for source, __ in arrows)] + [one.id for one in drawn.outside]
    pills = {name: name for name in names} | {one.id: f"{one.name} elsewhere" for one in drawn.outside}
    if hosts:
        rows = [names, *([one.id for one in drawn.boxes if host in one.hosts] for host in hosts)]
        gutter = max(GUTTER, 30 + BOLD * max(len(cut(one, LONGEST)) for one in hosts))
    else:
        rows = [names, *([one.id for one in drawn.boxes if one.tier == tier] for tier in tiers.TIERS)]
        gutter = GUTTER
    plan = routing.plan(rows, list(arrows))
    lower = lines_of_labels(plan.routes, arrows) if hosts else {}
    head = HEAD + (2 * AROUND if hosts and not names else 0)
    width, height = plan.width + gutter + MARGIN, plan.height + head + LINE * (len(drawn.networks) + 1)
    colour = {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(drawn.networks)}
    states = {one["name"]: one["state"] for one in seen} | dict(cluster)
    health = {one.id: health_of(one, states) for one in drawn.boxes}
    size = f'width="{width:g}" height="{height:g}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" {size} role="img">',
        f"<title>{escape(title or 'Topology')}</title>",
        f"<style>{STYLE}</style>",
        ARROWHEAD,
        f'<rect class="page" {size}/>',
        *heading(title, summary(list(health.values())), when),
        f'<g transform="translate({gutter:g} {head})">',
        *(host_frames if hosts else frames)(drawn, plan, colour, bool(names)),
        *titles(plan, hosts, gutter),
        *(edge(one, arrows[one.source, one.target], pills, lower.get(one, 0)) for one in plan.routes),
        *(pill(said, plan.boxes[name]) for name, said in pills.items()),
        *(box(one, plan.boxes[one.id], health[one.id], colour) for one in drawn.boxes),
        "</g>",
        *legend(drawn, colour, height),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def published(drawn: Topology) -> list[tuple[str, Box, str]]:
    """Return who reaches which box by ports of the host: everybody, or this host alone."""
    return [
        (who, one, ports)
        for loopback, who in ((False, tiers.EVERYBODY), (True, tiers.THIS_HOST))
        for one in drawn.boxes
        if (ports := one.ports(loopback=loopback))
    ]


def at_host(name: str, host: str = "") -> str:
    """Return under which name the state of a container is kept: in a cluster, several hosts may have one of a name."""
    return f"{name}@{host}" if host else name


def health_of(one: Box, states: Mapping[str, str]) -> Health:
    """Return the worst of the containers of a box, and what they are."""
    found = Counter(states.get(at_host(name, *one.hosts), "unknown") for name in one.names)
    moods = {"unknown" if s == "unknown" else "good" if s in GOOD else "busy" if s in BUSY else "bad" for s in found}
    worst = next(mood for mood in ("bad", "busy", "unknown", "good") if mood in moods)
    many = len(one.names) > 1
    return Health(worst, ", ".join(f"{count} {state}" if many else state for state, count in found.items()))


def summary(found: Sequence[Health]) -> Health:
    """Say how all boxes are together."""
    for mood in ("bad", "busy", "unknown"):
        if count := sum(one.mood == mood for one in found):
            word = {"bad": "not well", "busy": "not ready", "unknown": "not known"}[mood]
            return Health(mood, f"{count} of {len(found)} boxes {word}")
    return Health("good", "all healthy")


def heading(title: str, health: Health, when: str) -> list[str]:
    """Write the title, and how all is."""
    if not title:
        return []
    said = f"{health.text}{f', {when}' if when else ''}"
    return [
        text(GUTTER / 3, 32, title, "title"),
        f'<circle class="{health.mood}" cx="{GUTTER / 3 + 5:g}" cy="48" r="5"/>',
        text(GUTTER / 3 + 16, 52, said),
    ]


def frames(drawn: Topology, plan: Plan, colour: Mapping[str, str], world: bool) -> list[str]:
    """Draw the host around its containers, and around those of one network its frame."""
    inside = [top for number, top in plan.shelves if number or not world]
    if not inside:
        return []
    top, bottom = above(plan, min(inside)) - 4, plan.height - 4
    found = [rect("frame", 2, top, plan.width - 4, bottom - top, 12), text(16, top - 6, "HOST", "tier")]
    if len(drawn.networks) == 1:  # containers of several networks can't stand in the frame of each: they have marks
        ((name, subnet),) = drawn.networks.items()
        frame = rect("net", 10, top + 8, plan.width - 20, bottom - top - 16, 10, f' stroke="{colour[name]}"')
        found += [frame, text(plan.width - 20, top + 23, f"{name}, {subnet}", anchor="end")]
    return found


def host_frames(drawn: Topology, plan: Plan, colour: Mapping[str, str], world: bool) -> list[str]:
    """Draw each host of a cluster around what runs there, and around all of them the network that they have."""
    shelves: dict[int, list[float]] = {}
    for number, top in plan.shelves:
        if number or not world:
            shelves.setdefault(number, []).append(top)
    if not shelves:
        return []
    found: list[str] = []
    if len(drawn.networks) == 1:
        ((name, subnet),) = drawn.networks.items()
        top, bottom = above(plan, min(map(min, shelves.values()))) - 4, plan.height - 4
        frame = rect("net", 2, top, plan.width - 4, bottom - top, 12, f' stroke="{colour[name]}"')
        found += [frame, text(plan.width - 14, top - 6, f"overlay {name}, {subnet}", anchor="end")]
    for tops in shelves.values():
        height = max(tops) + routing.BOX_HEIGHT - min(tops) + 2 * AROUND
        found.append(rect("frame", 10, min(tops) - AROUND, plan.width - 20, height, 12))
    return found


def above(plan: Plan, shelf: float) -> float:
    """Return where the host begins: below the world, and above every arrow that comes to its first shelf."""
    worlds = [top + routing.BOX_HEIGHT for __, top in plan.shelves if top < shelf]
    return (max(worlds) if worlds else 0) + 8


def titles(plan: Plan, hosts: Sequence[str], gutter: float) -> list[str]:
    """Write the name of each tier, or of each host of a cluster, left of its first shelf."""
    names = [tiers.WORLD.upper(), *(hosts or map(str.upper, tiers.TIERS.values()))]
    first: dict[int, float] = {}

    def kind(number: int) -> str:
        return "name" if hosts and number else "tier"

    for number, top in plan.shelves:
        first.setdefault(number, top)
    return [
        text(18 - gutter, top + (routing.BOX_HEIGHT / 2) + 4, cut(names[number], LONGEST), kind(number))
        for number, top in first.items()
    ]


def lines_of_labels(routes: Sequence[Route], arrows: Mapping[tuple[str, str], str]) -> dict[Route, int]:
    """Say on which line beside its head the ports of each arrow stand, so that they do not lie on each other."""
    found: dict[Route, int] = {}
    ends: dict[tuple[float, int], float] = {}  # of the labels at one height, on one line
    heads = sorted(routes, key=lambda one: one.points[-1])
    for index, route in enumerate(heads):
        x, y = route.points[-1]
        end = x + 8 + LABEL_LETTER * len(arrows[route.source, route.target])
        # On the first line is the head of the next arrow, too.
        covers = any(one.points[-1][1] == y and x < one.points[-1][0] < end for one in heads[index + 1 :])
        lines = range(int(covers), LABEL_LINES)
        line = min(lines, key=lambda one: (ends.get((y, one), 0.0) > x, one))
        ends[y, line] = end
        found[route] = line
    return found


def edge(route: Route, ports: str, pills: Collection[str], lower: int = 0) -> str:
    """Draw an arrow with round corners; its ports stand at its head, or some lines farther away."""
    kind = "edge published" if route.source in WORLD else "edge"
    points = trimmed(route, pills)
    x, y = points[-1]
    up = points[-2][1] > y
    away = LABEL_LINE * lower
    label = text(x + 5, y + 13 + away if up else y - 6 - away, ports, "label")
    return f'<path class="{kind}" d="{rounded(points)}"/>{label}'


def trimmed(route: Route, pills: Collection[str]) -> list[Point]:
    """Return the corners at which an arrow turns; a pill is lower than a box, so its arrows begin and end higher."""
    points = list(route.points)
    for index, name in ((0, route.source), (-1, route.target)):
        if name in pills:
            points[index] = (points[index][0], points[index][1] - (routing.BOX_HEIGHT - PILL_HEIGHT) / 2)
    found: list[Point] = []
    for index, point in enumerate(points):
        before, after = (found[-1] if found else None), points[index + 1] if index + 1 < len(points) else None
        if before == point:
            continue
        if before and after and (before[0] == point[0] == after[0] or before[1] == point[1] == after[1]):
            continue
        found.append(point)
    return found


def rounded(points: Sequence[Point]) -> str:
    """Write a path with round corners."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x0, y0), (x, y), (x1, y1) in zip(points, points[1:], points[2:], strict=False):
        bend = min(ROUND, (abs(x - x0) + abs(y - y0)) / 2, (abs(x1 - x) + abs(y1 - y)) / 2)
        path += f"L{toward(x, x0, bend):g} {toward(y, y0, bend):g}Q{x:g} {y:g} "
        path += f"{toward(x, x1, bend):g} {toward(y, y1, bend):g}"
    return f"{path}L{points[-1][0]:g} {points[-1][1]:g}"


def toward(value: float, other: float, by: float) -> float:
    """Move a coordinate toward another one."""
    return value if value == other else value + (by if other > value else -by)


def pill(name: str, place: Point) -> str:
    """Draw who is outside."""
    x, y = place
    y += (routing.BOX_HEIGHT - PILL_HEIGHT) / 2
    frame = rect("world", x, y, routing.BOX_WIDTH, PILL_HEIGHT, PILL_HEIGHT / 2)
    return frame + text(x + routing.BOX_WIDTH / 2, y + PILL_HEIGHT / 2 + 4, name, "name", anchor="middle")


def box(one: Box, place: Point, health: Health, colour: Mapping[str, str]) -> str:
    """Draw a box: names, addresses, how it is, and a mark for each network."""
    x, y = place
    room = routing.BOX_WIDTH - 20
    marks = [
        f'<rect x="{x + 10 + 14 * index:g}" y="{y + routing.BOX_HEIGHT - 7:g}" width="10" height="3" rx="1.5" '
        f'fill="{colour[name]}"/>'
        for index, name in enumerate(one.networks)
        if name in colour
    ]
    return "".join(
        [
            rect("box", x, y, routing.BOX_WIDTH, routing.BOX_HEIGHT, 8),
            text(x + 10, y + 21, cut(name_of(one, room / BOLD), room / BOLD), "name"),
            text(x + 10, y + 21 + LINE, cut(shortened(one.addresses), room / LETTER)),
            f'<circle class="{health.mood}" cx="{x + 14:g}" cy="{y + 17 + 2 * LINE:g}" r="4"/>',
            text(x + 23, y + 21 + 2 * LINE, cut(health.text, (room - 13) / LETTER)),
            *marks,
        ]
    )


def legend(drawn: Topology, colour: Mapping[str, str], height: float) -> list[str]:
    """List the networks at the bottom."""
    top = height - LINE * len(drawn.networks)
    left = GUTTER + 10
    return [
        f'<rect x="{left}" y="{top + LINE * index - 6:g}" width="12" height="3" rx="1.5" fill="{colour[name]}"/>'
        + text(left + 20, top + LINE * index, f"{name}, {subnet}")
        for index, (name, subnet) in enumerate(drawn.networks.items())
    ]


def name_of(one: Box, letters: float) -> str:
    """Write the names of a box; replicas on a host of a cluster need not follow each other."""
    if not one.hosts or len(one.names) < 2:
        return shortened(one.names, letters)
    return ", ".join([one.names[0], *(tail(one.names[0], name) for name in one.names[1:])])


def shortened(values: tuple[str, ...], letters: float = 0) -> str:
    """Write the first and the last of several, and of the last only what differs where both have no room."""
    whole = span(values)
    if len(values) < 2 or len(whole) <= letters:
        return whole
    return f"{values[0]} … {tail(values[0], values[-1])}"


def tail(value: str, other: str) -> str:
    """Return in what another name or address differs from one."""
    first, last = (re.split(r"(?<=[-.])", one) for one in (value, other))
    same = next((index for index, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), 0)
    return "".join(last[same:])


def cut(value: str, letters: float) -> str:
    """Shorten a text to so many letters."""
    most = int(letters)
    return value if len(value) <= most else f"{value[: most - 1]}…"


def rect(kind: str, x: float, y: float, width: float, height: float, radius: float, more: str = "") -> str:
    """Draw a rectangle."""
    size = f'width="{width:g}" height="{height:g}" rx="{radius:g}"'
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" {size}{more}/>'


def text(x: float, y: float, value: str, kind: str = "quiet", anchor: str = "start") -> str:
    """Write a line of text."""
    return f'<text class="{kind}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(value)}</text>'
