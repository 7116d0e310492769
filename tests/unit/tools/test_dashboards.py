"""The dashboards of Grafana: what is committed is what is declared, and each panel explains itself."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any

import dashboards
import pytest
import yaml

DECLARED: dict[str, Any] = {
    path.stem: yaml.safe_load(path.read_text()) for path in sorted(dashboards.DIRECTORY.glob("*.yml"))
}
BUILT: dict[str, Any] = {name: json.loads(text) for name, text in dashboards.texts().items()}
UNITS = {"short", "s", "ms", "ops", "reqps", "bytes", "Bps", "percentunit"}


def panels(board: Any) -> list[Any]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@pytest.mark.parametrize("name", BUILT)
def test_what_is_committed_is_what_is_declared(name: str) -> None:
    assert (dashboards.DIRECTORY / name).read_text() == dashboards.texts()[name], "run tools/dashboards.py"


@pytest.mark.parametrize("name", BUILT)
def test_every_panel_has_a_title_a_description_a_unit_and_asks_prometheus(name: str) -> None:
    titles = [panel["title"] for panel in panels(BUILT[name])]
    assert len(set(titles)) == len(titles)
    for panel in panels(BUILT[name]):
        assert len(panel["description"]) > 25, panel["title"]
        if panel["type"] == "alertlist":
            continue
        assert panel["datasource"]["uid"] == "prometheus"
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert panel["targets"]
        assert len({one["refId"] for one in panel["targets"]}) == len(panel["targets"])


@pytest.mark.parametrize("name", BUILT)
def test_panels_lie_inside_of_the_grid_and_none_on_another(name: str) -> None:
    places = [panel["gridPos"] for panel in BUILT[name]["panels"]]
    assert all(place["x"] + place["w"] <= dashboards.COLUMNS for place in places)
    assert len({panel["id"] for panel in BUILT[name]["panels"]}) == len(places)
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        above = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or above, (one, two)


@pytest.mark.parametrize("name", BUILT)
def test_every_variable_of_a_query_can_be_chosen_and_each_that_can_be_chosen_is_used(name: str) -> None:
    queries = " ".join(target["expr"] for panel in panels(BUILT[name]) for target in panel.get("targets", []))
    # ${1} stands for what label_replace found.
    assert set(re.findall(r"\$([a-z]\w*)", queries)) == {one["name"] for one in BUILT[name]["templating"]["list"]}


def test_each_dashboard_links_all_of_them_and_shows_releases_and_alerts_as_lines() -> None:
    for board in BUILT.values():
        assert [link["url"] for link in board["links"]] == [
            *("/d/sse-overview", "/d/sse-streams", "/d/sse-kafka", "/d/sse-host")
        ]
        names = {one["name"]: one for one in board["annotations"]["list"]}
        assert set(names) == {"Releases", "Starts of containers", "Alerts"}
        assert names["Releases"]["useValueForTime"]


def test_the_overview_has_thresholds_a_heatmap_and_a_list_of_alerts() -> None:
    kinds = {panel["type"] for panel in panels(BUILT["overview.json"])}
    assert kinds >= {"stat", "timeseries", "heatmap", "alertlist"}
    [ready] = [one for one in panels(BUILT["overview.json"]) if one["title"] == "Are all replicas ready?"]
    steps = ready["fieldConfig"]["defaults"]["thresholds"]["steps"]
    assert [(step["value"], step["color"]) for step in steps] == [(None, "red"), (0.5, "orange"), (1, "green")]


def test_no_stat_shows_a_number_for_what_nobody_measures() -> None:
    """`or vector(0)` has a value also where the series are gone, and a zero in green would look like health."""
    asked = {
        panel["title"]: panel["targets"] for board in BUILT.values() for panel in panels(board) if "targets" in panel
    }
    made_up = {title for title, each in asked.items() if any("vector(" in one["expr"] for one in each)}
    assert made_up == {"Are all replicas ready?"}  # of those that there should be: it is red then
