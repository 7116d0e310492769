"""What came by -e and this run does not give."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from ansible_collections.sse.platform.plugins.action import cluster, release
from ansible_collections.sse.platform.plugins.module_utils.releases import history
from ansible_collections.sse.platform.plugins.module_utils.releases.going_back import going_back
from ansible_collections.sse.platform.plugins.module_utils.settings.options import load, openings

SETTINGS: dict[str, Any] = {
    "app_replicas": 3,
    "app_auth": False,
    "exposure_allow_from": [],
    "docker_restart_allowed": False,
    "network_layout": "single",
}
OPENINGS: dict[str, dict[str, Any]] = {
    "app_auth": {"value": False, "what": "everybody may publish"},
    "exposure_allow_from": {"what": "others may connect"},
    "network_layout": {"value": "single", "what": "one network"},
}


@pytest.mark.parametrize(
    ("before", "given"),
    [
        ({}, {}),
        ({"app_replicas": 3}, {}),  # the inventory says the same now
        ({"app_replicas": 5}, {"app_replicas": 4}),  # this run says something itself
        ({"docker_restart_allowed": True}, {}),  # it was for one run
        ({"no_setting_any_more": 1}, {}),
    ],
)
def test_nothing_is_said_where_nothing_goes_back_by_itself(before: dict[str, Any], given: dict[str, Any]) -> None:
    assert going_back(before, given, SETTINGS, OPENINGS) == []


def test_each_setting_is_named_with_both_values() -> None:
    (text,) = going_back({"app_replicas": 5, "app_link": "unix"}, {}, {**SETTINGS, "app_link": "tcp"}, OPENINGS)
    assert "app_replicas from 5 to 3, app_link from 'unix' to 'tcp'" in text


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({"exposure_allow_from": ["10.0.0.0/8"]}, "exposure_allow_from from ['10.0.0.0/8'] to [] (others may connect)"),
        ({"app_auth": True}, "app_auth from true to false (everybody may publish)"),
        ({"network_layout": "segmented"}, "network_layout from 'segmented' to 'single' (one network)"),
    ],
)
def test_what_opens_something_is_said_first_and_loudly(before: dict[str, Any], said: str) -> None:
    loud, quiet = going_back({"app_replicas": 5, **before}, {}, SETTINGS, OPENINGS)
    assert loud == f"THIS CHANGES WHO CAN REACH OR USE THE PLATFORM: {said}."
    assert "app_replicas" in quiet


def test_what_closes_something_is_said_as_any_other_setting() -> None:
    (quiet,) = going_back({"app_auth": False}, {}, {**SETTINGS, "app_auth": True}, OPENINGS)
    assert "app_auth from false to true" in quiet


def test_settings_that_open_something_declare_it() -> None:
    """Authorization off, keys dropped, ports on other addresses, the flat layout, another certificate."""
    by_role = load(Path(__file__).parents[3] / "roles", yaml.safe_load)
    declared = openings({name: one for role in by_role.values() for name, one in role.items()})
    assert {"app_auth", "app_keys_file", "app_jwks_file", "app_jwt_secret_file"} <= declared.keys()
    assert {"network_layout", "nginx_certificate", "exposure_unauthenticated_publishing"} <= declared.keys()
    assert {"exposure_profile", "exposure_bind", "exposure_admin_bind", "exposure_allow_from"} <= declared.keys()
    assert all(one.get("what") for one in declared.values())


def test_a_run_that_changes_nothing_says_what_a_run_would_do() -> None:
    loud, quiet = going_back({"app_auth": True}, {}, SETTINGS, OPENINGS, check=True)
    assert loud.startswith("THIS WOULD CHANGE WHO CAN REACH OR USE THE PLATFORM: app_auth")
    assert "they would go back: app_auth" in quiet


@pytest.mark.parametrize(
    ("asked", "projects", "back"),
    [
        ("up", {"stack": [], "page": ["dashboard"]}, {"app_auth", "dashboard_port", "exposure_admin_bind"}),
        ("scale app=5", {"stack": [], "page": ["dashboard"]}, {"app_auth", "dashboard_port", "exposure_admin_bind"}),
        ("plan", {"stack": [], "page": ["dashboard"]}, {"app_auth", "dashboard_port", "exposure_admin_bind"}),
        ("restore", {"stack": [], "page": ["dashboard"]}, {"app_auth", "dashboard_port", "exposure_admin_bind"}),
        ("dashboard", {"page": ["dashboard"]}, {"dashboard_port", "exposure_admin_bind"}),  # it changes nothing else
        ("up --tags dashboard", {"stack": [], "page": ["dashboard"]}, {"dashboard_port", "exposure_admin_bind"}),
    ],
)
def test_every_verb_that_follows_the_settings_says_what_goes_back(
    monkeypatch: pytest.MonkeyPatch, asked: str, projects: dict[str, list[str]], back: set[str]
) -> None:
    settings = {"app_auth": False, "dashboard_port": 3001, "exposure_admin_bind": "127.0.0.1", "stack_secrets": {}}
    given = {"app_auth": True, "dashboard_port": 3005, "exposure_admin_bind": "0.0.0.0", "app_replicas": 5}
    action = cast("Any", object.__new__(release.ActionModule))
    action.variables = {
        "settings": settings,
        "host": {"is_root": False, "last_given": given},
        "stack_declarations": {"app": {}, "dashboard": {}},
        "ansible_run_tags": [asked.rpartition(" ")[2] if "--tags" in asked else "all"],
        "this_run": history.run_meta({"asked": asked, "given": {"app_replicas": 4}}),
        "openings": OPENINGS,
    }
    action._task = SimpleNamespace(check_mode=asked == "plan")
    monkeypatch.setattr(action, "variable", action.variables.__getitem__)
    monkeypatch.setattr(action, "read", lambda path: yaml.safe_load(Path(path).read_text()))
    monkeypatch.setattr(action, "_releases", lambda *_: [])
    monkeypatch.setattr(action, "_judged", lambda *_: {})
    decided = action._decide({"stored": [], "projects": projects, "backup": None})
    said = decided["warnings"][-1]
    assert {name for name in {**settings, **given} if f"{name} from" in said} == back
    # A run for some services has the next one know which of the settings it has put in place.
    run = decided["ansible_facts"].get("this_run", {"concerned": None})
    assert run["concerned"] == (sorted(back) if "dashboard" in asked else None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [({"looks": False, "without": ""}, 1), ({"looks": True, "without": ""}, 0), ({"looks": False, "without": "b"}, 0)],
)
def test_a_cluster_says_what_goes_back_where_settings_are_put_in_place(
    monkeypatch: pytest.MonkeyPatch, arguments: dict[str, Any], says: int
) -> None:
    host = {"last_given": {"app_replicas": 5}, "uplink_mtu": 1500}
    node = {"open_files": 1, "swarm": None, "address": "192.0.2.1"}
    settings = {"app_replicas": 3, "stack_state_directory": "/s", "stack_secrets": {}}
    action = cast("Any", object.__new__(cluster.ActionModule))
    action.variables = {
        "settings": settings,
        "host": host,
        "stack_declarations": {},
        "hostvars": {"a": {"host": host, "settings": settings, "cluster_node": node}},
        "ansible_play_hosts": ["a"],
        "groups": {"managers": ["a"]},
        "this_run": history.run_meta({"asked": "up"}),
        "openings": OPENINGS,
    }
    action._task = SimpleNamespace(check_mode=False)
    monkeypatch.setattr(action, "variable", action.variables.__getitem__)
    monkeypatch.setattr(action, "also", lambda _: {"ansible_facts": {}})
    monkeypatch.setattr(action, "_releases", lambda *_: [])
    monkeypatch.setattr(action, "_shown", lambda *_, **__: None)
    for name in ("problems", "problems_without", "notices"):
        monkeypatch.setattr(cluster.cluster_preflight, name, lambda *_: [])
    monkeypatch.setattr(cluster.swarm_ports, "admitted", lambda *_: None)
    monkeypatch.setattr(cluster.swarm_ports, "findings", lambda *_: [])
    monkeypatch.setattr(cluster.edge_ports, "findings", lambda *_: [])
    said = action.decide({"projects": {}, "stored": [], "backup": None, **arguments})["warnings"]
    assert [("app_replicas from 5 to 3" in one) for one in said] == [True] * says


UP = ("up", {"app_replicas": 5}, (1, 1), "applied")
SMALL = ("scale app=2", {"app_replicas": 2}, (1, 2), "applied")
BACK = ("rollback", {}, (2, 3), "applied", {"back_to": 1})
NGINX = {"concerned": ["nginx_memory"]}
ONE_OF_EACH = {"app_replicas": 2, "nginx_memory": "1g"}
PORT = {"concerned": ["dashboard_port"]}
PAGE = ("dashboard", {"dashboard_port": 1, "app_memory": "1g"}, (1, 1))  # the memory makes no difference to it


@pytest.mark.parametrize(
    ("runs", "given"),
    [
        ([], {}),
        ([UP], {"app_replicas": 5}),
        ([UP, ("up", {}, (1, 1), "applied")], {}),
        ([UP, ("up", {"app_auth": True}, (1, 1), "failed")], {"app_replicas": 5}),  # the old containers came back
        ([UP, ("up", {"app_auth": True}, (1, 2), "failed")], {"app_auth": True}),  # its release runs, not well
        ([UP, ("scale app=5", {"app_auth": True}, (1, 2), "applied")], {"app_auth": True}),
        ([("restore", {"stack_offset": 100}, (0, 1), "applied")], {"stack_offset": 100}),
        ([UP, ("reload nginx", {}, (1, 1), "applied")], {"app_replicas": 5}),
        ([UP, ("node drain two", {}, (1, 1), "applied")], {"app_replicas": 5}),
        ([UP, ("node add two", {"app_auth": True}, (1, 2), "applied")], {"app_auth": True}),
        # A rollback brings back what its release had been given.
        ([SMALL, ("rollback", {}, (2, 3), "applied", {"back_to": 1})], {}),
        ([UP, SMALL, ("rollback", {}, (2, 3), "applied", {"back_to": 1})], {"app_replicas": 5}),
        ([UP, SMALL, ("rollback", {}, (2, 3), "failed", {"back_to": 1})], {"app_replicas": 5}),  # it runs, not well
        ([UP, SMALL, ("rollback", {}, (2, 2), "failed", {"back_to": 1})], {"app_replicas": 2}),
        ([UP, SMALL, BACK, ("rollback", {}, (3, 4), "applied", {"back_to": 2})], {"app_replicas": 2}),
        # A run for some services leaves what the others were given.
        ([SMALL, ("up", {"nginx_memory": "1g", "app_replicas": 9}, (2, 3), "applied", NGINX)], ONE_OF_EACH),
        ([SMALL, ("up", {}, (2, 3), "applied", {"concerned": []})], {"app_replicas": 2}),
        ([UP, ("dashboard", {"dashboard_port": 1}, (1, 2), "applied")], {"app_replicas": 5}),  # an earlier version
        ([UP, (*PAGE, "applied", PORT)], {"app_replicas": 5, "dashboard_port": 1}),
        (
            [UP, ("up", {"dashboard_port": 2}, (1, 1), "applied"), (*PAGE, "applied", PORT)],
            {"dashboard_port": 1},
        ),
        ([UP, (*PAGE, "failed", PORT)], {"app_replicas": 5}),
        (
            [UP, (*PAGE, "applied", PORT), ("dashboard", {}, (1, 1), "applied", PORT)],
            {"app_replicas": 5},
        ),
        ([UP, (*PAGE, "applied", PORT), UP], {"app_replicas": 5}),
        # One that was killed wrote no end: what came next tells whether its release came to run.
        ([UP, ("up", {"app_auth": True}, (1, 1), "killed"), ("pause", {}, (2, 2), "applied")], {"app_auth": True}),
        ([UP, ("up", {"app_auth": True}, (1, 1), "killed"), ("pause", {}, (1, 1), "applied")], {"app_replicas": 5}),
        ([UP, ("up", {"app_auth": True}, (7, 7), "killed")], {"app_replicas": 5}),
        ([UP, ("up", {"app_auth": True}, (6, 6), "killed")], {"app_auth": True}),
    ],
)
def test_the_last_run_is_the_last_one_of_the_whole_stack_whose_release_came_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, runs: list[Any], given: dict[str, Any]
) -> None:
    monkeypatch.setattr(history, "stack_number", lambda _: 7)
    for asked, gave, (before, after), outcome, *more in runs:
        told: dict[str, Any] = {"asked": asked, "given": gave, **(more[0] if more else {})}
        recorder = history.Recorder(str(tmp_path), history.run_meta(told), before)
        if outcome == "killed":
            recorder.path.write_text(recorder.path.read_text().replace(history.this_process(), "1:1"))
        else:
            recorder.end(after, [], [], "x" * (outcome == "failed"))
    assert history.last_given(str(tmp_path)) == given
