"""What the history gets to know of a run: who asked, and the variables of -e without anything secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.plugin_utils.this_run import this_run

if TYPE_CHECKING:
    import pytest

OPTIONS: Any = {
    "app_replicas": {"type": "int"},
    "images_debian_mirror": {"type": "str"},
    "app_environment_extra": {"type": "dict"},
    "stack_secrets": {"type": "dict", "no_log": True},
}


def test_values_that_can_hold_a_secret_are_left_out() -> None:
    extra = {**dict.fromkeys(OPTIONS, "as given"), "my_token": "hidden", "asked_why": "because"}
    settings = {
        "app_replicas": 5,
        "images_debian_mirror": "https://me:hidden@mirror.test/debian",
        "app_environment_extra": {"KEY": "hidden"},
        "stack_secrets": {"redis_password": "hidden"},
    }
    found = this_run(extra, OPTIONS, settings)
    assert found["given"] == {
        "app_replicas": 5,
        "images_debian_mirror": "https://mirror.test/debian",
        "app_environment_extra": None,
        "stack_secrets": None,
        "my_token": None,
    }
    assert found["why"] == "because"
    assert "hidden" not in str(found)


def test_it_names_who_came_from_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "ada")
    monkeypatch.setenv("SSH_CONNECTION", "192.0.2.7 50000 192.0.2.1 22")
    found = this_run({}, OPTIONS, {})
    assert found["who"] == "ada"
    assert found["where"].endswith(" (by SSH from 192.0.2.7)")
