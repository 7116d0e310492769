# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Places boxes on shelves, tier below tier, and leads arrows around them. Pure: names in, coordinates out.

Between two shelves is a channel, and beside each box of a shelf a passage. An arrow leaves its box at the top or at the
bottom, runs along channels, and crosses shelves through passages: so it never touches another box. Arrows of one source
are one net. They share their way, and two nets never lie on each other. The dashboard draws the same in TypeScript.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Final, NamedTuple

BOX_WIDTH, BOX_HEIGHT, GAP, MARGIN = 196, 74, 40, 34
LANE, PAD, CLOSEST = 11, 20, 7  # between two lanes, between a shelf and its next lane, and between two vertical lines
CAPACITY: Final = 5  # boxes on one shelf
Point = tuple[float, float]


class Route(NamedTuple):
    """The way of one arrow, from its source to its target."""

    source: str
    target: str
    points: tuple[Point, ...]


class Plan(NamedTuple):
    """Where everything is."""

    width: float
    height: float
    boxes: dict[str, Point]  # the upper left corner of each
    shelves: list[tuple[int, float]]  # the number of the tier, and where it begins from the top
    routes: list[Route]


def plan(tiers: Sequence[Sequence[str]], arrows: Sequence[tuple[str, str]]) -> Plan:
    """Lay boxes out and lead the arrows.

    :param tiers: the boxes of each tier, from the top
    :param arrows: source and target of each
    """
    return Router(tiers, arrows).plan()


def shelved(tiers: Sequence[Sequence[str]], arrows: Sequence[tuple[str, str]]) -> list[tuple[int, list[str]]]:
    """Fill shelves with the boxes of each tier; boxes that are connected stand close together."""
    found: list[tuple[int, list[str]]] = []
    rank: dict[str, float] = {}
    for number, boxes in enumerate(tiers):
        middle = {one: near(one, arrows, rank) for one in boxes}
        ordered = sorted(boxes, key=lambda one: middle[one])
        count = -(-len(ordered) // CAPACITY)
        for part in range(count):
            row = ordered[part * len(ordered) // count : (part + 1) * len(ordered) // count]
            rank |= {one: (index + 1) / (len(row) + 1) for index, one in enumerate(row)}
            found.append((number, row))
    return found


def near(one: str, arrows: Sequence[tuple[str, str]], rank: Mapping[str, float]) -> float:
    """Return where the boxes are that one is connected to, from 0 (left) to 1."""
    others = [target if source == one else source for source, target in arrows if one in (source, target)]
    return fmean([rank[other] for other in others if other in rank] or [0.5])


class Router:
    """Leads arrows between the shelves."""

    def __init__(self, tiers: Sequence[Sequence[str]], arrows: Sequence[tuple[str, str]]) -> None:
        """Place the boxes from left to right."""
        self.rows = shelved(tiers, arrows)
        widest = max((len(row) for __, row in self.rows), default=1)
        self.width = 2 * MARGIN + widest * (BOX_WIDTH + GAP) + GAP
        self.shelf = {one: index for index, (__, row) in enumerate(self.rows) for one in row}
        self.left: dict[str, float] = {}
        for __, row in self.rows:
            begin = (self.width - len(row) * (BOX_WIDTH + GAP) + GAP) / 2
            self.left |= {one: begin + index * (BOX_WIDTH + GAP) for index, one in enumerate(row)}
        known = dict.fromkeys((s, t) for s, t in arrows if s in self.shelf and t in self.shelf and s != t)
        self.arrows = list(known)
        self.taken: dict[int, dict[float, str]] = defaultdict(dict)  # vertical lines by channel: x and net

    def plan(self) -> Plan:
        """Return where everything is."""
        ends = self.ends()
        ways = {arrow: self.way(arrow, ends) for arrow in self.arrows}
        lanes, tops, bottoms = self.channels(ways)
        routes = [Route(*arrow, self.points(arrow, way, lanes, tops, bottoms)) for arrow, way in ways.items()]
        height = bottoms[-1] if bottoms else 0
        boxes = {one: (self.left[one], tops[self.shelf[one]]) for one in self.shelf}
        shelves = [(number, tops[index]) for index, (number, __) in enumerate(self.rows)]
        return Plan(self.width, height + PAD, boxes, shelves, routes)

    def sides(self, arrow: tuple[str, str]) -> tuple[bool, bool]:
        """Tell whether an arrow leaves its source at the bottom, and whether it reaches its target at the bottom."""
        source, target = (self.shelf[one] for one in arrow)
        return target >= source, target <= source

    def ends(self) -> dict[tuple[str, str, bool], float]:
        """Spread what leaves and reaches a side of a box over it: by box, the net, and whether it is the bottom."""
        sides: dict[tuple[str, bool], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
        for source, target in self.arrows:
            out, into = self.sides((source, target))
            sides[source, out][source].append(self.left[target])
            sides[target, into][source].append(self.left[source])
        found: dict[tuple[str, str, bool], float] = {}
        for (box, bottom), nets in sides.items():
            # What leaves a box stands where it leads to on the whole, between what comes from the left and the right.
            order = sorted(nets, key=lambda net: fmean(nets[net]))
            channel = self.shelf[box] + (1 if bottom else 0)
            for index, net in enumerate(order):
                wanted = self.left[box] + BOX_WIDTH * (index + 1) / (len(order) + 1)
                low, high = self.left[box] + 8, self.left[box] + BOX_WIDTH - 8
                found[box, net, bottom] = self.free((channel,), wanted, low, high, net)
        return found

    def free(self, channels: Sequence[int], wanted: float, low: float, high: float, net: str) -> float:
        """Return the x that is nearest to the wanted one, and on which no other net runs in these channels."""
        for away in range(0, int(high - low), 2):
            for x in (wanted + away, wanted - away):
                if low <= x <= high and all(
                    abs(x - other) >= CLOSEST or of == net
                    for channel in channels
                    for other, of in self.taken[channel].items()
                ):
                    for channel in channels:
                        self.taken[channel][x] = net
                    return x
        return wanted

    def way(self, arrow: tuple[str, str], ends: Mapping[tuple[str, str, bool], float]) -> list[tuple[int, float]]:
        """Return the vertical lines of an arrow: the channel below each, or -1 for an end, with its x."""
        source, target = arrow
        out, into = self.sides(arrow)
        first, last = self.shelf[source], self.shelf[target]
        x, goal = ends[source, source, out], ends[target, source, into]
        found = [(first, x)]
        between = range(first + 1, last) if last > first else range(first - 1, last, -1)
        for shelf in between:
            x = self.passage(shelf, x, goal, source)
            found.append((shelf, x))
        found.append((last, goal))
        return found

    def passage(self, shelf: int, x: float, goal: float, net: str) -> float:
        """Choose the way beside a box through a shelf, so that the arrow runs as little to the side as possible."""
        row = self.rows[shelf][1]
        edges = [MARGIN / 2, *(self.left[one] for one in row), self.width - MARGIN / 2]
        gaps = [(edges[0], self.left[row[0]] - 6)]
        gaps += [(self.left[one] + BOX_WIDTH + 6, self.left[other] - 6) for one, other in pairwise(row)]
        gaps.append((self.left[row[-1]] + BOX_WIDTH + 6, edges[-1]))
        known = [at for at, of in self.taken[shelf].items() if of == net == self.taken[shelf + 1].get(at)]
        for at in known:  # the net runs through this shelf already
            if any(low <= at <= high for low, high in gaps) and abs(at - x) + abs(at - goal) <= abs(x - goal) + GAP:
                return at

        def cost(gap: tuple[float, float]) -> float:
            at = min(max(goal, gap[0]), gap[1])
            return abs(at - x) + abs(at - goal)

        low, high = min(gaps, key=cost)
        wanted = min(max(goal, low + 4), high - 4)
        return self.free((shelf, shelf + 1), wanted, low, high, net)

    def channels(
        self, ways: Mapping[tuple[str, str], Sequence[tuple[int, float]]]
    ) -> tuple[dict[tuple[int, str], int], list[float], list[float]]:
        """Give each net a lane in each of its channels; return those, and where each shelf begins and ends."""
        extents: dict[tuple[int, str], list[float]] = defaultdict(list)
        for arrow, way in ways.items():
            for channel, (x, other) in self.pieces(arrow, way):
                extents[channel, arrow[0]] += [x, other]
        lanes: dict[tuple[int, str], int] = {}
        count: dict[int, int] = defaultdict(int)
        for channel in range(len(self.rows) + 1):
            rows: list[list[tuple[float, float]]] = []
            mine = sorted((max(xs) - min(xs), net) for (at, net), xs in extents.items() if at == channel)
            for __, net in mine:
                low, high = min(extents[channel, net]) - CLOSEST, max(extents[channel, net]) + CLOSEST
                lane = next((i for i, row in enumerate(rows) if all(high < a or low > b for a, b in row)), len(rows))
                rows += [[]] if lane == len(rows) else []
                rows[lane].append((low, high))
                lanes[channel, net] = lane
            count[channel] = len(rows)
        tops: list[float] = []
        bottoms: list[float] = []
        y = 0.0
        for index in range(len(self.rows)):
            y += PAD * 2 + max(0, count[index] - 1) * LANE if index or count[index] else 0
            tops.append(y)
            y += BOX_HEIGHT
            bottoms.append(y)
        if bottoms:
            bottoms.append(bottoms[-1] + (PAD * 2 + max(0, count[len(self.rows)] - 1) * LANE))
        return lanes, tops, bottoms

    def pieces(self, arrow: tuple[str, str], way: Sequence[tuple[int, float]]) -> list[tuple[int, tuple[float, float]]]:
        """Return the horizontal pieces of an arrow: the channel of each, and from where to where."""
        out, __ = self.sides(arrow)
        found: list[tuple[int, tuple[float, float]]] = []
        for (shelf, x), (__, other) in pairwise(way):
            found.append((shelf + 1 if out else shelf, (x, other)))
        return found

    def points(
        self,
        arrow: tuple[str, str],
        way: Sequence[tuple[int, float]],
        lanes: Mapping[tuple[int, str], int],
        tops: Sequence[float],
        bottoms: Sequence[float],
    ) -> tuple[Point, ...]:
        """Return the corners of an arrow."""
        out, into = self.sides(arrow)
        first, last = way[0], way[-1]
        found: list[Point] = [(first[1], bottoms[first[0]] if out else tops[first[0]])]
        for channel, (x, other) in self.pieces(arrow, way):
            above = bottoms[channel - 1] if channel else 0.0
            y = above + PAD + lanes[channel, arrow[0]] * LANE
            found += [(x, y), (other, y)]
        found.append((last[1], bottoms[last[0]] if into else tops[last[0]]))
        return tuple(found)
