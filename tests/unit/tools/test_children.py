"""What ./sse ends with: 0 fine, 1 failed, 2 findings, 128 and the signal where one ended it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- hosts: all
  gather_facts: false
  tasks:
"""
TRIED = """
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"failed": True, **self._task.args}
"""
RUN = "import sys, children; ended = children.run(sys.argv[1:]); print(ended.word); sys.exit(ended.code)"


def start(*command: str, direct: bool = False, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tools"), "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command if direct else [sys.executable, "-c", RUN, *command],
        env=environment | variables, stdin=subprocess.DEVNULL, stdout=pipe,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_run_whose_output_cannot_be_written_fails_without_a_warning_for_each_line(tmp_path: Path) -> None:
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY + "    - ansible.builtin.debug: {msg: [a, b]}\n" * 3)
    run = f"{RUN.partition('print')[0]}sys.stderr.write(ended.word); sys.exit(ended.code)"
    words = ("sh", "-c", 'exec "$0" "$@" >/dev/full', sys.executable, "-c", run)
    ended = start(*words, "ansible-playbook", "-i", "vm,", "-c", "local", str(playbook), direct=True)
    assert ended.communicate(timeout=60)[0] == "sse: on vm, by vm,\nunwritten: No space left on device"
    assert ended.returncode == 1


@pytest.mark.parametrize(
    ("tasks", "code", "word"),
    [
        ("    - ansible.builtin.debug: {msg: fine}\n", 0, "fine"),
        ("    - ansible.builtin.fail: {msg: no}\n", 1, "failed"),
        ("    - tried: {findings: [{rule: x}], msg: wrong}\n", 2, "findings"),
        ("    - tried: {findings: [], msg: broken}\n", 1, "failed"),
        ("    - {tried: {findings: [1]}, ignore_errors: true}\n    - ansible.builtin.fail: {msg: no}\n", 1, "failed"),
    ],
)
def test_findings_and_failures_end_differently(tmp_path: Path, tasks: str, code: int, word: str) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tried.py").write_text(TRIED)
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY + tasks)
    ended = start("ansible-playbook", "-i", "vm,", "-c", "local", str(playbook))
    output = ended.communicate(timeout=60)[0]
    assert (ended.returncode, output.splitlines()[-1]) == (code, word), output


@pytest.mark.parametrize("screen", ["default", "minimal", "oneline"])
def test_findings_are_told_on_every_screen_and_beside_callbacks_of_the_user(tmp_path: Path, screen: str) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tried.py").write_text(TRIED)
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAY + "    - tried: {findings: [{rule: x}], msg: wrong}\n")
    ended = start(
        "ansible-playbook", "-i", "vm,", "-c", "local", str(playbook),
        ANSIBLE_STDOUT_CALLBACK=screen, ANSIBLE_CALLBACKS_ENABLED="junit", JUNIT_OUTPUT_DIR=str(tmp_path / "junit"),
    )  # fmt: skip
    output = ended.communicate(timeout=60)[0]
    assert (ended.returncode, output.splitlines()[-1]) == (2, "findings"), output
    assert list((tmp_path / "junit").iterdir())


def test_a_host_that_cannot_be_reached_is_a_failure_even_beside_findings(tmp_path: Path) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tried.py").write_text(TRIED)
    playbook = tmp_path / "play.yml"
    lost = "    - {ansible.builtin.ping: {}, when: inventory_hostname == 'lost'}\n"
    playbook.write_text(PLAY + lost + "    - tried: {findings: [1], msg: wrong}\n")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: {lost: {ansible_host: 127.0.0.1, ansible_port: 1}, vm: {}}}\n")
    ended = start("ansible-playbook", "-i", str(inventory), str(playbook))
    output = ended.communicate(timeout=60)[0]
    assert (ended.returncode, output.splitlines()[-1]) == (1, "failed"), output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_child_which_may_tidy_up(tmp_path: Path, number: signal.Signals) -> None:
    tidied = tmp_path / "tidied"
    ready = tmp_path / "ready"
    script = f"trap 'echo tidy >{tidied}; exit 7' INT TERM HUP; touch {ready}; while :; do sleep 0.05; done"
    ended = start("sh", "-c", script)
    deadline = time.monotonic() + 20
    while not ready.exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    ended.send_signal(number)
    ended.communicate(timeout=20)
    assert ended.returncode == 128 + number
    assert tidied.exists()


def test_a_process_that_stays_behind_does_not_hold_the_run() -> None:
    """SSH leaves one that keeps a connection for later, and it has inherited everything."""
    begun = time.monotonic()
    ended = start("sh", "-c", "sleep 20 >/dev/null 2>&1 & exit 3")
    ended.communicate(timeout=20)
    assert ended.returncode == 1
    assert time.monotonic() - begun < 10


def test_a_program_reads_one_document_with_an_entry_for_each_host_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tried.py").write_text(TRIED)
    playbook = tmp_path / "play.yml"
    playbook.write_text(
        PLAY
        + "    - tried: {failed: \"{{ inventory_hostname == 'b' }}\", msg: no engine, document: {stack: sse}}\n"
        + "    - {name: Summary, ansible.builtin.debug: {msg: for people}}\n"
    )
    run = "import sys, children; sys.exit(children.run(sys.argv[1:], document=True).code)"
    ended = subprocess.run(
        [sys.executable, "-c", run, "ansible-playbook", "-v", "-i", "a,b,", "-c", "local", str(playbook)],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT / "tools"),
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    first, second = json.loads(ended.stdout)["hosts"]
    assert first == {"host": "a", "error": "", "stack": "sse"}
    assert second == {"host": "b", "error": "no engine"}
    assert "sse: on a, b" in ended.stderr
    assert "for people" not in ended.stderr
