#!/usr/bin/env python3
"""Write the dashboards of Grafana (roles/grafana/files/dashboards/*.json) from what is declared beside them as YAML.

A dashboard has rows of panels. A panel has a title, a description for people who see it for the first time, a kind, a
unit, and queries with a legend. `empty` says why a query may rightly find nothing; a test runs all others and wants an
answer. Edit the YAML, run this, and commit both.
"""

import json
import sys
from pathlib import Path
from typing import Any

import yaml

DIRECTORY = Path(__file__).resolve().parents[1] / "roles/grafana/files/dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
COLUMNS = 24  # of Grafana's grid
Json = dict[str, Any]

# The variables that people choose at the top of a dashboard.
VARIABLES: dict[str, Json] = {
    "replica": {
        "type": "query",
        "label": "Replica",
        "query": {"query": "label_values(sse_ready, instance)", "refId": "replica"},
        "definition": "label_values(sse_ready, instance)",
        "datasource": SOURCE,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
        "sort": 1,
    },
    "window": {
        "type": "custom",
        "label": "Rates and percentiles over",
        "query": "1m,5m,15m,1h",
        "options": [{"text": one, "value": one, "selected": one == "1m"} for one in ("1m", "5m", "15m", "1h")],
        "current": {"text": "1m", "value": "1m", "selected": True},
    },
}

# Lines through all graphs: what changed, and what was wrong.
ANNOTATIONS: list[tuple[str, str, str, str, str, bool]] = [
    # name, colour, query, title, text, whether the value is the time in milliseconds
    ("Releases", "blue", "sse_release_timestamp_seconds * 1000", "Release {{number}}", "{{project}} {{commit}}", True),
    ("Starts of containers", "purple", "container_start_time_seconds * 1000", "{{name}} started", "", True),
    ("Alerts", "red", 'ALERTS{alertstate="firing",alertname!="Watchdog"}', "{{alertname}}", "{{instance}}", False),
]


def target(query: Json, index: int, kind: str) -> Json:
    """Build one query of a panel."""
    found: Json = {
        "refId": "ABCDEFGH"[index],
        "datasource": SOURCE,
        "expr": query["expr"],
        "legendFormat": query.get("legend", "__auto"),
        "range": kind not in {"stat", "gauge"},
        "instant": kind in {"stat", "gauge"},
    }
    return {**found, "format": "heatmap"} if kind == "heatmap" else found


def defaults(panel: Json) -> Json:
    """Build what holds for every value of a panel: unit, limits, colours and words."""
    steps = [{"value": value, "color": colour} for value, colour in panel.get("colours", [[None, "green"]])]
    found: Json = {"unit": panel.get("unit", "short"), "thresholds": {"mode": "absolute", "steps": steps}}
    found |= {key: panel[key] for key in ("min", "max", "decimals") if key in panel}
    if words := panel.get("words"):
        options = {str(value): {"text": text, "index": place} for place, (value, text) in enumerate(words.items())}
        found["mappings"] = [{"type": "value", "options": options}]
    if "empty" in panel:
        found["noValue"] = panel.get("none", "none")
    if panel["kind"] == "graph":
        found["min"] = panel.get("min", 0)
        found["color"] = {"mode": "palette-classic"}
        stacked = {"stacking": {"mode": "normal"}, "fillOpacity": 30} if panel.get("stacked") else {"fillOpacity": 8}
        found["custom"] = {"lineWidth": 1, "showPoints": "never", "spanNulls": False, **stacked}
        if "colours" in panel:
            found["custom"]["thresholdsStyle"] = {"mode": "dashed"}
    return found


def options(panel: Json) -> Json:
    """Build what a kind of panel has beside its values."""
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel["kind"]:
        case "stat":
            coloured = "background" if "colours" in panel else "none"
            text = "name" if panel.get("names") else "auto"
            return {"reduceOptions": last, "colorMode": coloured, "graphMode": "none", "textMode": text}
        case "gauge":
            return {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic", "valueMode": "color"}
        case "heatmap":
            return {
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "exponent": 0.5},
                "yAxis": {"unit": panel.get("unit", "s"), "axisPlacement": "left"},
                "tooltip": {"mode": "single", "yHistogram": True},
                "legend": {"show": True},
            }
        case "alerts":
            return {
                "alertListOptions": {},
                "alertName": "",
                "datasource": "Prometheus",
                "dashboardAlerts": False,
                "groupMode": "default",
                "maxItems": 20,
                "sortOrder": 3,
                "stateFilter": {"firing": True, "pending": True, "error": True, "noData": False, "normal": False},
                "viewMode": "list",
            }
        case _:
            return {
                "legend": {"displayMode": "list", "placement": "bottom"},
                "tooltip": {"mode": "multi", "sort": "desc"},
            }


TYPES = {"stat": "stat", "graph": "timeseries", "heatmap": "heatmap", "gauge": "bargauge", "alerts": "alertlist"}
SIZES = {"stat": (4, 4), "graph": (8, 8), "heatmap": (12, 8), "gauge": (8, 8), "alerts": (8, 8)}


def built(panel: Json, number: int, x: int, y: int) -> Json:
    """Build one panel at a place of the grid."""
    kind = panel["kind"]
    width, height = panel.get("width", SIZES[kind][0]), panel.get("height", SIZES[kind][1])
    found: Json = {
        "id": number,
        "type": TYPES[kind],
        "title": panel["title"],
        "description": panel["description"],
        "gridPos": {"x": x, "y": y, "w": width, "h": height},
        "options": options(panel),
    }
    if kind == "alerts":
        return found
    targets = [target(query, index, kind) for index, query in enumerate(panel["queries"])]
    fields: Json = {"defaults": defaults(panel), "overrides": []}
    return {**found, "datasource": SOURCE, "targets": targets, "fieldConfig": fields}


def panels(rows: list[Json]) -> list[Json]:
    """Lay all rows out: panels from left to right, and on a new line where one does not fit."""
    found: list[Json] = []
    y = 0
    for row in rows:
        place = {"x": 0, "y": y, "w": COLUMNS, "h": 1}
        title: Json = {"id": len(found) + 1, "type": "row", "title": row["title"], "collapsed": False, "panels": []}
        found.append({**title, "gridPos": place})
        x, y, tallest = 0, y + 1, 0
        for panel in row["panels"]:
            one = built(panel, len(found) + 1, x, y)
            if x + one["gridPos"]["w"] > COLUMNS:
                x, y, tallest = 0, y + tallest, 0
                one["gridPos"] |= {"x": x, "y": y}
            found.append(one)
            x, tallest = x + one["gridPos"]["w"], max(tallest, one["gridPos"]["h"])
        y += tallest
    return found


def lines() -> list[Json]:
    """Build the lines through all graphs."""
    return [
        {
            "name": name,
            "enable": True,
            "hide": False,
            "iconColor": colour,
            "datasource": SOURCE,
            "expr": expr,
            "titleFormat": title,
            "textFormat": text,
            "useValueForTime": timed,
            "step": "15s",
        }
        for name, colour, expr, title, text, timed in ANNOTATIONS
    ]


def dashboard(declared: Json, links: list[Json]) -> Json:
    """Build a whole dashboard."""
    return {
        "uid": declared["uid"],
        "title": declared["title"],
        "description": declared["description"],
        "tags": ["sse.platform"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "timezone": "browser",
        "links": links,
        "templating": {"list": [{"name": name, **VARIABLES[name]} for name in declared.get("variables", [])]},
        "annotations": {"list": lines()},
        "panels": panels(declared["rows"]),
    }


def texts() -> dict[str, str]:
    """Return the text of each dashboard by the name of its file."""
    declared = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(DIRECTORY.glob("*.yml"))}
    links = [
        {"title": one["title"], "type": "link", "url": f"/d/{one['uid']}", "keepTime": True, "includeVars": True}
        for one in sorted(declared.values(), key=lambda one: one["order"])
    ]
    return {f"{name}.json": json.dumps(dashboard(one, links), indent=1) + "\n" for name, one in declared.items()}


def main() -> int:
    """Write all of them."""
    for name, text in texts().items():
        (DIRECTORY / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
