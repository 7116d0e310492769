"""A run can have a second stack: values that replace all others, and the defaults of what depends on them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from played import play

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """
- sse.platform.settings:
    instead: {stack_name: other, stack_offset: 300, exposure_profile: development, app_keys_file: ''}
- ansible.builtin.copy: {content: "{{ settings | to_json }}", dest: "{{ playbook_dir }}/settings.json", mode: "0600"}
"""


def test_what_depends_on_a_replaced_value_has_its_default_again_and_the_rest_stays(tmp_path: Path) -> None:
    given = {
        "stack_name": "first",
        "exposure_http_port": 8080,
        "network_subnet": "10.5.0.0/24",
        "exposure_bind": "0.0.0.0",
        "stack_state_directory": "/srv/first",
        "app_memory": "512m",
    }
    run = play(tmp_path, TASKS, given)
    assert run.returncode == 0, run.stdout + run.stderr
    settings = json.loads((tmp_path / "settings.json").read_text())
    assert {name: settings[name] for name in (*given, "stack_offset", "dashboard_name", "network_name")} == {
        "stack_name": "other",
        "stack_offset": 300,
        "exposure_http_port": 380,
        "network_subnet": "10.108.96.0/24",
        "exposure_bind": "127.0.0.1",
        "stack_state_directory": "/var/lib/other-platform",
        "app_memory": "512m",
        "dashboard_name": "other-performance-dashboard",
        "network_name": "other-network",
    }
