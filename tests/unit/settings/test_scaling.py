"""Which setting `./sse scale` changes, and which words it refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.settings.scaling import ScaleError, scaled

OPTIONS: Any = {"web_count": {"type": "int", "scales": "web"}, "web_memory": {"type": "str"}}

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
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
    (tmp_path / "play.yml").write_text(PLAY)
    given = {"asked_scale": ["app=4"], "app_memory": "512m"}
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "play.yml"]
    run = subprocess.run(
        [*command, "-e", json.dumps(given)],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    kept = json.loads((tmp_path / "run.json").read_text())
    assert (kept["asked"], kept["given"]) == ("scale app=4", {"app_memory": "512m", "app_replicas": 4})
