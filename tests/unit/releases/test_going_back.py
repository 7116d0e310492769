"""What the last run got by -e and this one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.releases import history
from ansible_collections.sse.platform.plugins.module_utils.releases.going_back import going_back

SETTINGS: dict[str, Any] = {
    "app_replicas": 3,
    "app_auth": False,
    "exposure_allow_from": [],
    "docker_restart_allowed": False,
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
    assert going_back(before, given, SETTINGS) == []


def test_each_setting_is_named_with_both_values() -> None:
    (text,) = going_back({"app_replicas": 5, "app_auth": True}, {}, SETTINGS)
    assert "app_replicas from 5 to 3, app_auth from true to false" in text


def test_who_can_reach_the_platform_is_said_first_and_loudly() -> None:
    loud, quiet = going_back({"app_replicas": 5, "exposure_allow_from": ["10.0.0.0/8"]}, {}, SETTINGS)
    assert loud == "THIS CHANGES WHO CAN REACH THE PLATFORM: exposure_allow_from from ['10.0.0.0/8'] to []."
    assert "app_replicas" in quiet


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
