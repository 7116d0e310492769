"""Tasks that Ansible runs on this machine, as a play of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]


def play(directory: Path, tasks: str, given: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Run tasks with variables of -e; `playbook_dir` is the directory."""
    head: dict[str, Any] = {
        "hosts": "all",
        "connection": "local",
        "gather_facts": False,
        "vars": {"ansible_python_interpreter": sys.executable},  # not by -e, which the history keeps
    }
    (directory / "play.yml").write_text(yaml.safe_dump([{**head, "tasks": yaml.safe_load(tasks)}]))
    command = [str(Path(sys.executable).with_name("ansible-playbook")), "-i", "localhost,", "play.yml"]
    environment = {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_STDOUT_CALLBACK": "default"}
    return subprocess.run(
        [*command, "-e", json.dumps(given)],
        cwd=directory,
        env={**os.environ, **environment, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
    )
