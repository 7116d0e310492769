"""The collection deploys from where `ansible-galaxy` installs it, with no checkout and no ansible.cfg around."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from ansible_collections.sse.platform.tests.integration.stack import ROOT, UP_SECONDS, Stack


def run(directory: Path, *command: str) -> str:
    """Run a program in a directory that knows the installed collection only; return what it printed."""
    (directory / "ansible.cfg").write_text("[defaults]\ninterpreter_python = /usr/bin/python3\n")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    environment |= {
        "ANSIBLE_CONFIG": str(directory / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(directory / "collections"),
        "LC_ALL": "C.UTF-8",
    }
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, check=False, timeout=UP_SECONDS
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_a_stack_is_deployed_verified_and_removed_from_an_installed_collection(tmp_path: Path) -> None:
    build = ["ansible-galaxy", "collection", "build", "--output-path", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    archive = str(next(tmp_path.glob("sse-platform-*.tar.gz")))
    # Its one dependency, community.docker, comes with the package `ansible`.
    run(tmp_path, "ansible-galaxy", "collection", "install", "--offline", "--no-deps", "-p", "collections", archive)
    stack = Stack("st-installed", "10.83.0.0/24", 18480, app_replicas=1)
    stack.destroy()

    def play(playbook: str, **variables: object) -> str:
        given = json.dumps({**stack.variables, **variables})
        return run(
            tmp_path, *("ansible-playbook", "-i", "localhost,", "-c", "local"), "-e", given, f"sse.platform.{playbook}"
        )

    try:
        play("site")
        assert stack.publish("installed", {"n": 1}).status_code == 202
        play("verify")
        assert "changed=0" in play("site")
        play("destroy", stack_delete_data=True, stack_destroy_confirmed=True)
        assert stack.containers() == {}
    finally:
        stack.destroy()
