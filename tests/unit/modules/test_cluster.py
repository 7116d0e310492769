"""What the action `cluster` refuses beside what the preflight of a cluster does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.action import cluster
from ansible_collections.sse.platform.plugins.module_utils.preflight import cluster_preflight, swarm_ports

AWAY = {
    "name": "Log",
    "servers": ["log.example.org:9093"],
    "containers": ["web-1"],
    "keeps": "the log",
    "instead_of": "log",
    "move": "log_remote_move_allowed",
}


class Action(cluster.ActionModule):
    """The action with one host, whose hardware and declarations nobody looks at."""

    def __init__(self, kept: dict[str, Any], **settings: Any) -> None:
        given = {"stack_state_directory": "/state", "stack_secrets": {}, **settings}
        node = {"address": "192.0.2.1", "open_files": 1024, "swarm": None}
        host = {"kept": kept, "uplink_mtu": 1500}
        of_host = {"host": host, "cluster_node": node, "settings": given}
        groups = {group: ["a"] for group in ("managers", "edge", "app", "data")}
        self.variables = {**of_host, "hostvars": {"a": of_host}, "ansible_play_hosts": ["a"], "groups": groups}
        self.variables["stack_declarations"] = {}

    def also(self, action: Any, arguments: Any = None) -> Any:
        return {"ansible_facts": {}}

    def variable(self, name: str) -> Any:
        return self.variables.get(name)

    def _releases(self, projects: Any, declared: Any, settings: Any, host: Any) -> list[Any]:
        return [
            {
                "stack": "sse",
                "layout": "single",
                "networks": {},
                "containers": {},
                "unavailable": {},
                "allow_from": [],
                "elsewhere": [AWAY],
            }
        ]

    def _shown(self, variables: Any, releases: Any, *, kept: bool) -> Any:
        return cluster_preflight.Shown(variables["host"], None, "192.0.2.1", [], [])

    def _going_back(self, host: Any, settings: Any) -> list[str]:
        return []


@pytest.fixture(autouse=True)
def a_fitting_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the preflight find nothing."""
    for name in ("problems", "notices"):
        monkeypatch.setattr(cluster_preflight, name, lambda *_: [])
    monkeypatch.setattr(swarm_ports, "findings", lambda *_: [])


KEPT = {"containers": ["sse-log"], "elsewhere": []}
ARGUMENTS = {name: one.get("default") for name, one in cluster.ActionModule.OPTIONS.items()} | {"projects": {}}


def test_the_log_of_a_cluster_moves_only_where_a_run_says_so() -> None:
    with pytest.raises(AnsibleActionFail) as refused:
        Action(KEPT).decide(ARGUMENTS)
    said = str(refused.value)
    assert said.startswith(
        "Data would stay behind; nothing was changed.\n- the log would move from the container sse-log"
    )
    allowed = Action(KEPT, log_remote_move_allowed=True).decide(ARGUMENTS)["ansible_facts"]
    assert allowed["cluster"]["outward"] == []  # no container of this release uses it
    assert allowed["cluster"]["silent"] == []
    assert Action({}).decide(ARGUMENTS)["ansible_facts"]["releases"]
    assert Action(KEPT).decide({**ARGUMENTS, "looks": True})["ansible_facts"]["releases"]


def test_a_host_lacks_what_it_may_have_to_run_and_no_more() -> None:
    def service(name: str, group: str, image: str) -> Any:
        request = {"TaskTemplate": {"ContainerSpec": {"Image": image}}}
        return SimpleNamespace(name=name, group=group, request=request, pinned=group == "data", together="")

    wanted = [service("web", "edge", "web:1"), service("app", "app", "app:1"), service("log", "data", "log:1")]
    groups: Any = {"edge": ["a", "b"], "app": ["b"], "data": ["a", "c"]}
    images = {"a": ["web:1"], "b": [], "c": []}
    assert cluster.lacking(wanted, groups, {"log": "c"}, images) == {"b": ["app:1", "web:1"], "c": ["log:1"]}
    whole = {name: ["web:1", "app:1", "log:1"] for name in images}
    assert cluster.lacking(wanted, groups, {"log": "c"}, whole) == {}


def test_a_host_that_did_not_answer_or_is_left_out_is_silent() -> None:
    action = Action({})
    action.variables["groups"]["app"] = ["a", "c", "b"]
    looks = action.decide({**ARGUMENTS, "looks": True})["ansible_facts"]
    assert looks["cluster"]["silent"] == ["b", "c"]
