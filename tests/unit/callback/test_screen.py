from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.callback import phases

ROOT = Path(__file__).resolve().parents[3]
PLAY = """
- name: Try
  hosts: localhost
  gather_facts: false
  tasks:
"""


@pytest.fixture
def play(tmp_path: Path):
    def run(tasks: str, *arguments: str, status: int = 0) -> str:
        playbook = tmp_path / "play.yml"
        playbook.write_text(PLAY + tasks)
        command = ["ansible-playbook", "-i", "localhost ansible_connection=local,", "-c", "local", str(playbook)]
        environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
        ended = subprocess.run([*command, *arguments], env=environment, capture_output=True, text=True, check=False)
        assert ended.returncode == status, ended.stdout + ended.stderr
        return ended.stdout

    return run


def test_what_is_as_it_should_be_takes_no_line(play) -> None:
    shown = play("    - {name: Look, ansible.builtin.command: 'true', changed_when: false}\n")
    assert shown.split("\n")[:3] == ["Try", "", shown.split("\n")[2]]
    assert shown.split("\n")[2].startswith("nothing changed (in ")


def test_the_hosts_and_the_inventory_are_named_before_anything_is_done(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("all: {hosts: {vm: {ansible_connection: local, ansible_host: 10.0.0.7}}}\n")
    tasks = "    - {name: Act, ansible.builtin.debug: {}, changed_when: true}\n"
    (tmp_path / "play.yml").write_text(
        PLAY.replace("localhost", "all") + tasks + PLAY.replace("localhost", "all") + tasks
    )
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    ended = subprocess.run(
        ["ansible-playbook", "play.yml"],
        env=environment | {"ANSIBLE_INVENTORY": "hosts.yml"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert ended.stdout.startswith("sse: on vm (10.0.0.7), by hosts.yml (ANSIBLE_INVENTORY)\n")
    assert ended.stdout.count("sse: on vm") == 1


def test_a_change_is_one_line_and_counted(play) -> None:
    shown = play(
        "    - {name: Act, ansible.builtin.command: 'true'}\n    - {name: Act, ansible.builtin.command: 'true'}\n"
    )
    assert shown.count("  changed: Act\n") == 2
    assert "changed: 2 (in " in shown


def test_a_failure_shows_its_message_line_by_line_its_output_and_its_advice(play) -> None:
    task = """
    - name: Break
      ansible.builtin.fail: {msg: "first\\nsecond"}
"""
    shown = play(task, status=2)
    assert "FAILED in prepare on localhost: Break\n  first\n  second\n" in shown
    assert "failed in prepare after " in shown
    task = "    - {name: Break, ansible.builtin.shell: 'echo out; echo why >&2; exit 3'}\n"
    assert "  its stdout:\n    out\n  its stderr:\n    why\n" in play(task, status=2)


def test_every_failed_item_of_a_loop_is_shown(play) -> None:
    task = "    - {name: Break, ansible.builtin.fail: {msg: 'no {{ item }}'}, loop: [a, b]}\n"
    shown = play(task, status=2)
    assert "Break: a\n  no a\n" in shown
    assert "Break: b\n  no b\n" in shown


def test_what_is_censored_stays_so(play) -> None:
    task = "    - {name: Break, ansible.builtin.shell: 'echo can\\ary; exit 1', no_log: true}\n"
    assert "canary" not in play(task, status=2)
    assert "canary" not in play(task, "-vv", status=2)


def test_of_a_censored_failure_the_message_is_shown_as_of_any_other(play) -> None:
    shown = play("    - {name: Break, ansible.builtin.fail: {msg: 'no room'}, no_log: true}\n", status=2)
    assert "FAILED in prepare on localhost: Break\n  no room\n" in shown
    assert "has been hidden" not in shown


def test_the_closing_summary_is_printed_plainly(play) -> None:
    task = "    - {name: Summary, ansible.builtin.debug: {msg: [all is well, '  really']}}\n"
    assert "\n\nall is well\n  really\n" in play(task)


@pytest.mark.parametrize(
    ("of", "once", "named"), [("all", False, True), ("all", True, False), ("ours", False, False), ("one", False, False)]
)
def test_of_several_hosts_what_one_says_is_named_unless_they_are_one(
    tmp_path: Path, of: str, once: bool, named: bool
) -> None:
    (tmp_path / "hosts").write_text("[ours]\none\ntwo\n[ours:vars]\nansible_connection=local\n")
    tasks = "".join(
        f"    - {{name: {name}, ansible.builtin.debug: {{msg: fine}}, run_once: {once}}}\n"
        for name in ("Say", "Summary")
    )
    (tmp_path / "play.yml").write_text(PLAY.replace("localhost", of) + tasks)
    environment = os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    shown = subprocess.run(
        ["ansible-playbook", "-i", "hosts", "play.yml"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for host in ("one", "two"):
        assert (f"\n  {host}:\n  fine\n" in shown) is named
        assert (f"\n\n{host}:\nfine\n" in shown) is named
        assert (f"{host}:" in shown) is named


def test_a_diff_is_shown_with_its_task(play, tmp_path: Path) -> None:
    task = f"    - {{name: Write, ansible.builtin.copy: {{content: new, dest: {tmp_path}/file, mode: '0600'}}}}\n"
    shown = play(task, "--check", "--diff")
    assert "  diff: Write\n" in shown
    assert "+new" in shown
    assert "would change: 1" in shown
    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (3725, "62 min 05 s")]
)
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert phases.duration(seconds) == text


class Screen:
    """Takes what would be displayed; tells when enough has come."""

    def __init__(self, enough: int) -> None:
        self.lines: list[str] = []
        self.enough = enough
        self.full = threading.Event()

    def display(self, text: str, **_: object) -> None:
        self.lines.append(text)
        if len(self.lines) == self.enough:
            self.full.set()


def test_a_wait_is_named_again_and_again_until_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "TICK", 0.01)
    screen = Screen(enough=3)
    waiting = phases.Waiting(cast("Any", screen))
    waiting.on("Build kafka")
    assert screen.full.wait(5)
    thread = waiting.thread
    waiting.end()
    assert thread is not None
    assert not thread.is_alive()
    assert all(line.startswith("  ... Build kafka: 0.") for line in screen.lines)


def test_what_is_named_is_the_newest_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "TICK", 0.05)
    screen = Screen(enough=1)
    waiting = phases.Waiting(cast("Any", screen))
    waiting.on("first")
    waiting.on("second")
    assert screen.full.wait(5)
    waiting.end()
    assert screen.lines[0].startswith("  ... second: ")


def test_nothing_is_drawn_while_somebody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "TICK", 0.01)
    screen = Screen(enough=1)
    waiting = phases.Waiting(cast("Any", screen))
    waiting.on("")
    assert not screen.full.wait(0.1)
    waiting.on("Remove")
    assert screen.full.wait(5)
    waiting.end()
    assert screen.lines[0].startswith("  ... Remove: ")
