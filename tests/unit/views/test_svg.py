"""The picture of a stack: tiers, arrows around boxes, how each box is, in light and dark, whatever releases hold."""

from __future__ import annotations

import random
import re
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.views import diagram, routing, svg
from ansible_collections.sse.platform.tests.unit.views.test_diagram import SMALL, container, release

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*releases: Any, seen: Any = (), title: str = "sse, release 9") -> ET.Element:
    return ET.fromstring(svg.draw(diagram.topology(releases), seen, title, "2026-11-29 04:40 UTC"))


def texts(root: ET.Element) -> list[str]:
    return ["".join(one.itertext()) for one in root.iter(f"{SVG}text")]


def states(**states: str) -> Any:
    return [{"name": f"sse-{name.replace('_', '-')}", "state": state} for name, state in states.items()]


def test_the_picture_has_a_title_the_tiers_the_world_every_name_and_every_arrow() -> None:
    root = drawn(SMALL)
    shown = texts(root)
    for wanted in ("sse, release 9", "WORLD", "REPLICAS", "DATA", "HOST", "everybody", "this host"):
        assert wanted in shown
    for wanted in ("sse-nginx", "sse-app-1 … sse-app-2", "sse-redis", "sse-network, 10.0.0.0/24", "80", "6379", "8000"):
        assert wanted in shown
    edges = [one for one in root.iter(f"{SVG}path") if "edge" in str(one.get("class"))]
    assert len(edges) == 4
    assert sum("published" in str(one.get("class")) for one in edges) == 2


@pytest.mark.parametrize(
    ("values", "letters", "wanted"),
    [
        (("sse-nginx",), 4, "sse-nginx"),
        (("sse-app-1", "sse-app-2", "sse-app-3"), 22, "sse-app-1 … sse-app-3"),
        (("room-app-1", "room-app-2", "room-app-3"), 22, "room-app-1 … 3"),
        (("10.161.128.21", "10.161.128.22", "10.161.128.23"), 0, "10.161.128.21 … 23"),
        (("10.9.1.250", "10.9.2.3"), 0, "10.9.1.250 … 2.3"),
        (("a", "b"), 0, "a … b"),
    ],
)
def test_of_several_replicas_the_last_is_always_readable(values: Any, letters: int, wanted: str) -> None:
    assert svg.shortened(values, letters) == wanted


def test_what_a_release_holds_stays_text() -> None:
    hostile = container("evil", "x", ("redis:6379",), networks={'"><script>': "10.0.0.9"})
    other: Any = {**release(x=hostile), "networks": {'"><script>': {"subnet": "10.0.0.0/24"}}}
    root = drawn(SMALL, other, title="</title><script>")
    assert list(root.iter(f"{SVG}script")) == []
    assert any('"><script>' in one for one in texts(root))


def test_the_worst_of_a_box_is_shown_and_what_is_not_known_is_not_drawn_as_well() -> None:
    root = drawn(SMALL, seen=states(nginx="healthy", app_1="healthy", app_2="exited"))
    shown = texts(root)
    assert {"healthy", "1 healthy, 1 exited", "unknown"} <= set(shown)
    assert "1 of 3 boxes not well, 2026-11-29 04:40 UTC" in shown
    moods = [one.get("class") for one in root.iter(f"{SVG}circle")]
    assert moods == ["bad", "good", "bad", "unknown"]
    well = drawn(SMALL, seen=states(nginx="healthy", app_1="healthy", app_2="healthy", redis="healthy"))
    assert "all healthy, 2026-11-29 04:40 UTC" in texts(well)


def test_light_and_dark_come_with_the_picture_and_nothing_else_is_asked_for() -> None:
    text = svg.draw(diagram.topology([SMALL]), title="x")
    assert "prefers-color-scheme: dark" in text
    classes = {name for found in re.findall(r'class="([^"]+)"', text) for name in found.split()}
    light, dark = text.split("@media", 1)
    for name in classes - {"net", "title", "name", "frame"}:
        assert f".{name} " in light, name
        assert f".{name} " in dark or f".{name}," in dark or name == "tier", name
    assert re.findall(r"https?://[^\"]+|url\((?!#)", text) == ["http://www.w3.org/2000/svg"]


def graph(seed: int) -> tuple[list[list[str]], list[tuple[str, str]]]:
    """Return any stack: some boxes in each tier, and arrows in all directions, also around circles."""
    chosen = random.Random(seed)
    tiers = [[f"{tier}{n}" for n in range(chosen.randint(0, 8))] for tier in "abcde"]
    boxes = [one for tier in tiers for one in tier] or ["x"]
    arrows = [(chosen.choice(boxes), chosen.choice(boxes)) for _ in range(chosen.randint(0, 40))]
    return tiers, arrows


@pytest.mark.parametrize("seed", range(60))
def test_no_arrow_runs_through_a_box_and_no_box_lies_on_another(seed: int) -> None:
    tiers, arrows = graph(seed)
    plan = routing.plan(tiers, arrows)
    assert set(plan.boxes) == {one for tier in tiers for one in tier}
    for (x, y), (other_x, other_y) in combinations(plan.boxes.values(), 2):
        assert abs(x - other_x) >= routing.BOX_WIDTH or abs(y - other_y) >= routing.BOX_HEIGHT
    wanted = {(s, t) for s, t in arrows if s != t and s in plan.boxes and t in plan.boxes}
    assert {(one.source, one.target) for one in plan.routes} == wanted
    for route in plan.routes:
        for (x0, y0), (x1, y1) in pairwise(route.points):
            assert x0 == x1 or y0 == y1  # upright or level
            assert 0 <= min(x0, x1) <= max(x0, x1) <= plan.width
            assert 0 <= min(y0, y1) <= max(y0, y1) <= plan.height
            for left, top in plan.boxes.values():
                inside_x = max(x0, x1) > left and min(x0, x1) < left + routing.BOX_WIDTH
                inside_y = max(y0, y1) > top and min(y0, y1) < top + routing.BOX_HEIGHT
                assert not (inside_x and inside_y), (route.source, route.target)


@pytest.mark.parametrize("seed", range(20))
def test_arrows_of_two_sources_never_lie_on_each_other_where_they_are_level(seed: int) -> None:
    plan = routing.plan(*graph(seed))
    level = [
        (route.source, y0, min(x0, x1), max(x0, x1))
        for route in plan.routes
        for (x0, y0), (x1, y1) in pairwise(route.points)
        if y0 == y1 and x0 != x1
    ]
    for (net, y, low, high), (other, other_y, other_low, other_high) in combinations(level, 2):
        if net != other and y == other_y:
            assert high < other_low or other_high < low


HOSTS = ("one", "a-second-host-with-a-long-name.of.example.org")


def of_cluster(running: Any, hosts: Any = HOSTS, *releases: Any) -> ET.Element:
    spread = diagram.on_hosts(diagram.topology([SMALL, *releases]), running, hosts)
    states = {svg.at_host(name, host): "healthy" for name, found in running.items() for host in found}
    states[svg.at_host("sse-redis", diagram.NO_HOST)] = "runs nowhere"
    return ET.fromstring(svg.draw(spread, (), "sse", "", [*hosts, diagram.NO_HOST], states))


def test_of_a_cluster_each_host_is_a_frame_in_the_overlay_and_has_its_boxes_and_every_connection() -> None:
    both = list(HOSTS)
    root = of_cluster({"sse-nginx": both, "sse-app-1": ["one"], "sse-app-2": both[1:], "sse-redis": []})
    shown = texts(root)
    for wanted in ("one", "a-second-host-with-a-long-nam…", "no host", "overlay sse-network, 10.0.0.0/24", "everybody"):
        assert wanted in shown
    assert [shown.count(name) for name in ("sse-nginx", "sse-app-1", "sse-app-2", "sse-redis")] == [2, 1, 1, 1]
    assert "this host" not in shown  # a Swarm publishes nothing for one host alone
    assert "runs nowhere" in shown
    assert shown.count("80") == 2  # everybody to both
    assert shown.count("8000") == 4  # each of both to each replica
    assert len([one for one in root.iter(f"{SVG}rect") if one.get("class") == "frame"]) == 3
    assert len([one for one in root.iter(f"{SVG}rect") if one.get("class") == "net"]) == 1


def test_replicas_of_one_host_need_not_follow_each_other() -> None:
    running = {"sse-app-1": ["one"], "sse-app-2": ["one"]}
    spread = diagram.on_hosts(diagram.topology([SMALL]), running, ("one",))
    assert "sse-app-1, 2" in texts(ET.fromstring(svg.draw(spread, hosts=("one", diagram.NO_HOST))))


def test_the_ports_at_the_heads_of_many_arrows_lie_neither_on_each_other_nor_on_the_next_head() -> None:
    names = [f"s{number}" for number in range(6)]
    routes = [routing.Route(name, "t", ((30.0 * n, 90.0), (30.0 * n, 50.0))) for n, name in enumerate(names)]
    ports = {(name, "t"): "9093, 9095" if n % 2 else "80" for n, name in enumerate(names)}
    lines = svg.lines_of_labels(routes, ports)
    spans = [(lines[one], one.points[-1][0], 5.6 * len(ports[one.source, "t"])) for one in routes]
    for (line, x, width), (other, to, __) in combinations(spans, 2):
        assert line != other or x + width < to
        assert line or not x < to < x + width
