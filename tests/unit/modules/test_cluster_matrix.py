"""What every host has tried becomes one matrix with the hosts of both ends, also where a host does not answer."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.sse.platform.plugins.action import cluster_matrix
from ansible_collections.sse.platform.plugins.module_utils.model.connections import Edge
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_matrix
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell
from ansible_collections.sse.platform.tests.unit.verify.test_swarm_matrix import NGINX, REDIS, releases, shown, task

TO_REDIS = Edge("sse-nginx on a", "sse-redis on b", 6379, "redis", "needs it")
BACK = Edge("sse-redis on b", "sse-nginx on a", 80, "nginx", "")


class Action(cluster_matrix.ActionModule):
    """The action with what two hosts have registered; a third one does not answer."""

    def __init__(self, *cells: Cell) -> None:
        def host(found: Any, tried: list[Cell]) -> Any:
            judged = {"cells": json.loads(json.dumps(swarm_matrix.packed(tried))), "findings": []}
            return {"connections_found": {"found": found}, "connections_tried": judged}

        a = host(shown(task("sse-nginx", NGINX)), [one for one in cells if one.edge.source.endswith("a")])
        b = host(shown(task("sse-redis", REDIS)), [one for one in cells if one.edge.source.endswith("b")])
        groups = {"managers": ["a"], "edge": ["a"], "app": ["a", "b"], "data": ["b", "c"]}
        self.variables = {"hostvars": {"a": a, "b": b}, "ansible_play_hosts": ["a", "b"], "releases": releases()}
        self.variables["cluster"] = {"groups": groups}

    def variable(self, name: str) -> Any:
        return self.variables[name]


def test_findings_picture_and_files_name_the_hosts() -> None:
    cells = [Cell(TO_REDIS, "broken", REDIS, "timed out"), Cell(BACK, "open", NGINX)]
    result = Action(*cells).decide({"grid": True})
    [found] = result["findings"]
    assert (found["subject"], found["wrong"]) == (
        "sse-nginx on a",
        f"could not connect to redis:6379 on b ({REDIS})",
    )
    assert result["reached"] == 0
    assert result["lines"][0].startswith("2 of 2 connections tested: 1 undeclared and open, as network_layout single")
    assert "sse-nginx on a     X" in result["lines"]
    [edge, *_] = json.loads(result["files"]["matrix.json"])["edges"]
    assert (edge["source"], edge["target"], edge["verdict"]) == ("sse-nginx", "sse-redis", "broken")


def test_a_good_matrix_has_no_finding_and_no_picture_unless_asked() -> None:
    result = Action(Cell(TO_REDIS, "reached", REDIS), Cell(BACK, "refused")).decide({"grid": False})
    assert (result["findings"], result["reached"], len(result["lines"])) == ([], 1, 1)
