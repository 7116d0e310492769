"""The question before a stack is removed: at a terminal, and where there is none."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.filter.going import going

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- name: Remove
  hosts: all
  gather_facts: false
  tasks:
    - name: Ask
      sse.platform.confirm:
        question: [Everything of demo goes.]
        answer: demo
        confirmed: "{{ confirmed | default(false) }}"
        consent: "--yes"
    - name: Go
      ansible.builtin.debug: {msg: it is gone}
"""


def command(tmp_path: Path, *arguments: str) -> list[str]:
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY)
    return ["ansible-playbook", "-i", "one,two,", "-c", "local", str(playbook), *arguments]


ENVIRONMENT = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}


@pytest.mark.parametrize(("arguments", "gone"), [((), 0), (("-e", "confirmed=true"), 2), (("--check",), 2)])
def test_without_a_terminal_only_an_earlier_yes_helps(tmp_path: Path, arguments: tuple[str, ...], gone: int) -> None:
    run = subprocess.run(
        command(tmp_path, *arguments), env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert run.stdout.count("it is gone") == gone, run.stdout + run.stderr
    assert (run.returncode == 0) == bool(gone)
    if not gone:
        assert "Everything of demo goes." in run.stdout
        assert "run it again with --yes" in run.stdout


@pytest.mark.parametrize(("answer", "gone"), [("demo", 2), ("y", 2), ("n", 0), ("", 0), ("dem", 0)])
def test_at_a_terminal_one_question_counts_for_all_hosts(tmp_path: Path, answer: str, gone: int) -> None:
    ours, theirs = pty.openpty()
    # The new session gets this terminal as its own, so that the run is in its foreground.
    own = ["setsid", "--ctty", "--wait", *command(tmp_path)]
    run = subprocess.Popen(own, env=ENVIRONMENT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    said = b""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if b"or y to go on" in said and not select.select([ours], [], [], 0.3)[0]:
            os.write(ours, answer.encode() + b"\r")  # again, where the prompt threw away what came before it listened
        try:
            said += os.read(ours, 4096) if select.select([ours], [], [], 0.3)[0] else b""
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert run.wait() == (0 if gone else 2), said.decode()
    assert said.count(b"Everything of demo goes.") == 1
    assert said.count(b"it is gone") == gone


def test_the_question_says_what_goes_and_that_data_is_lost_for_ever() -> None:
    settings = {"stack_name": "demo", "stack_state_directory": "/var/lib/demo-platform", "stack_delete_data": False}
    host = {
        "inventory_hostname": "vm",
        "settings": settings,
        "stack_going": {"removed": ["demo-app-1", "demo-kafka"], "removed_networks": ["demo-network"]},
    }
    used = {**host["stack_going"], "elsewhere": ["Log at a.example:1"]}
    assert going({**host, "stack_going": used})[2:] == ["Log at a.example:1 is not touched."]
    kept = going(host)
    assert kept[0].startswith(
        "On vm, the stack 'demo' is removed: 2 containers: demo-app-1, demo-kafka; networks: demo"
    )
    assert "stay in /var/lib/demo-platform" in kept[1]
    assert "DELETED FOR EVER" in going({**host, "settings": {**settings, "stack_delete_data": True}})[1]
