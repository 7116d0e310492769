"""What the last run got by -e and this one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
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


def test_the_last_run_is_the_last_up_that_was_applied(tmp_path: Path) -> None:
    assert history.last_given(str(tmp_path)) == {}
    for asked, given, error in (
        ("up", {"app_replicas": 5}, ""),
        ("up", {"app_replicas": 6}, "x"),
        ("rollback", {}, ""),
    ):
        meta = history.run_meta({"asked": asked, "given": given})
        history.Recorder(str(tmp_path), meta, 0).end(1, [], [], error)
    assert history.last_given(str(tmp_path)) == {"app_replicas": 5}
