"""Which setting `./sse scale` changes, and which words it refuses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.settings.scaling import ScaleError, scaled
from played import play

if TYPE_CHECKING:
    from pathlib import Path

OPTIONS: Any = {"web_count": {"type": "int", "scales": "web"}, "web_memory": {"type": "str"}}

TASKS = """
- sse.platform.settings:
- ansible.builtin.copy: {content: "{{ this_run | to_json }}", dest: "{{ playbook_dir }}/run.json", mode: "0600"}
"""


def test_a_service_is_scaled_by_the_setting_that_its_role_declares() -> None:
    assert scaled(["web=5"], OPTIONS) == {"web_count": "5"}
    assert scaled([], OPTIONS) == {}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("db=2", "scale db=2: 'db' cannot be scaled; expected one of web"),
        ("web", "scale web: expected SERVICE=N, such as web=3"),
        ("web=many", "scale web=many: expected SERVICE=N"),
    ],
)
def test_other_words_are_refused(word: str, said: str) -> None:
    with pytest.raises(ScaleError, match=said):
        scaled([word], OPTIONS)


def test_two_numbers_for_one_service_are_refused() -> None:
    assert scaled(["web=2", "web=2"], OPTIONS) == {"web_count": "2"}
    with pytest.raises(ScaleError, match="scale web=3: web is given twice, as 2 and as 3"):
        scaled(["web=2", "web=3"], OPTIONS)


def test_the_history_keeps_what_scale_changes_as_it_keeps_settings_of_this_run(tmp_path: Path) -> None:
    """So that the next run says that it goes back."""
    given = {"asked_scale": ["app=4"], "app_memory": "512m"}
    run = play(tmp_path, TASKS, given)
    assert run.returncode == 0, run.stdout + run.stderr
    kept = json.loads((tmp_path / "run.json").read_text())
    assert (kept["asked"], kept["given"]) == ("scale app=4", {"app_memory": "512m", "app_replicas": 4})
