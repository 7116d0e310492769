"""On a host without an engine, an image of one's own whose registry is silent is refused before anything changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
BARE: dict[str, Any] = {"engine": None, "images": {}, "distribution": {"id": "debian"}, "registry_answers": False}
PLAY = """
- hosts: all
  connection: local
  gather_facts: false
  tasks:
    - sse.platform.settings:
    - sse.platform.images:
"""


def test_a_silent_registry_is_named_with_the_image_and_its_place(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAY)
    container = {"image": "127.0.0.1:1/team/tool:1"}
    given = {"host": BARE, "services_extra": {"tool": {"containers": {"tool": container}}}}
    command = [
        *(str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", str(tmp_path / "play.yml")),
        *("-e", json.dumps({**given, "ansible_python_interpreter": sys.executable})),
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    run = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode != 0
    text = " ".join((run.stdout + run.stderr).split())
    assert "Images of your own can't be had; nothing was changed." in text
    place = "services_extra.tool.containers.tool.image"
    assert f"{place}: 127.0.0.1:1/team/tool:1 can't be had: 127.0.0.1:1 does not answer." in text
