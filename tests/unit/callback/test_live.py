"""What a module tells while it works is seen at once: as rows on a terminal, as lines anywhere else."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

ROOT = Path(__file__).resolve().parents[3]
# It tells what it is given, and waits for a file where it is told to.
TELLS = """
import os, time
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.host.progress import Progress
from ansible_collections.sse.platform.plugins.plugin_utils.progress import told


class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        with told(self._connection, task_vars["inventory_hostname"]) as path:
            progress = Progress(path)
            for event in self._task.args["events"]:
                while "until" in event and not os.path.exists(event["until"]):
                    time.sleep(0.02)
                if "until" not in event:
                    progress.tell(**event)
        return {"changed": True, **self._task.args.get("result", {})}
"""
PLAN = {"plan": [["redis", "create", "+ redis (new)"], ["kafka", "replace", "~ kafka: memory: 64m -> 128m"]]}
DONE = [{"row": "redis", "doing": "create"}, {"row": "redis", "seconds": 1.2}, {"row": "kafka", "doing": "replace"}]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "action_plugins").mkdir()
    (tmp_path / "action_plugins/tells.py").write_text(TELLS)
    return tmp_path


def command(place: Path, *events: dict[str, Any], hosts: str = "vm,", looks: bool = False, **result: Any) -> list[str]:
    task = {"name": "Apply", "tells": {"events": list(events), "result": result}}
    play = {"name": "Try", "hosts": "all", "gather_facts": False, "tasks": [task], "vars": {"__looks": looks}}
    (place / "play.yml").write_text(json.dumps([play]))
    return ["ansible-playbook", "-i", hosts, "-c", "local", str(place / "play.yml")]


def environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path, **more}


def piped(words: list[str], status: int = 0) -> str:
    run = subprocess.run(
        words,
        env={**os.environ, **environment()},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert run.returncode == status, run.stdout + run.stderr
    return run.stdout


def test_on_a_terminal_the_rows_follow_what_happens_and_only_their_ends_stay(place: Path) -> None:
    goes_on = place / "go"
    words = command(place, PLAN, *DONE, {"until": str(goes_on)}, {"row": "kafka", "seconds": 6.1})
    terminal = Terminal(words, columns=40, more=environment())
    assert terminal.until(lambda screen: bool(re.search(r"[⠋-⠿] kafka replacing \d", screen.text)))
    drawn = terminal.screen.text
    assert drawn.index("✔ redis healthy 1.2 s") < drawn.index("kafka replacing")
    assert max(map(len, terminal.screen.rows)) <= 40
    goes_on.touch()
    assert terminal.end() == 0
    assert "\n  ✔ redis healthy 1.2 s\n  ✔ kafka healthy 6.1 s\n  changed: Apply\n" in terminal.screen.text
    assert not re.search(r"[⠋-⠿]|\.\.\. ", terminal.screen.text)
    assert not terminal.screen.coloured


def test_ctrl_c_leaves_the_terminal_whole_and_keeps_the_rows_that_are_done(place: Path) -> None:
    terminal = Terminal(command(place, PLAN, *DONE, {"until": str(place / "never")}), more=environment())
    assert terminal.until(lambda screen: "kafka replacing" in screen.text)
    terminal.press("\x03")
    assert terminal.end() != 0
    assert terminal.screen.text.count("✔ redis healthy 1.2 s") == 1
    assert "kafka replacing" not in terminal.screen.text
    assert not terminal.screen.coloured
    (place / "never").touch()


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {"CI": "true"}], ids=str)
def test_where_lines_cannot_or_shall_not_be_drawn_again_each_row_is_printed_once(
    place: Path, plain: dict[str, str]
) -> None:
    terminal = Terminal(command(place, PLAN, *DONE, {"row": "kafka", "seconds": 6.1}), more=environment(**plain))
    assert terminal.end() == 0
    assert terminal.screen.text.count("✔ redis healthy 1.2 s") == 1
    assert not re.search(r"\x1b\[\d*[AJ]", terminal.written)


def test_a_pipe_gets_a_line_for_each_container_and_the_reason_of_one_that_failed(place: Path) -> None:
    failed = {"row": "kafka", "failed": "not healthy after 60 s: out of memory"}
    shown = piped(command(place, PLAN, *DONE, failed, failed=True, msg="kafka: not healthy"), status=2)
    assert "  ✔ redis healthy 1.2 s\n  ✘ kafka not healthy after 60 s: out of memory\n" in shown
    assert shown.index("✘ kafka") < shown.index("FAILED in prepare on vm: Apply")
    assert "\x1b" not in shown


def test_of_several_hosts_each_row_names_its_own(place: Path) -> None:
    shown = piped(command(place, PLAN, *DONE, hosts="one,two,"))
    assert "  [one] ✔ redis healthy 1.2 s\n" in shown
    assert "  [two] ✔ redis healthy 1.2 s\n" in shown


def test_letters_stand_for_the_signs_where_the_locale_has_no_others(place: Path) -> None:
    words = command(place, PLAN, *DONE, {"row": "kafka", "seconds": 6.1})
    terminal = Terminal(words, more=environment(SSE_LETTERS="1"))
    assert terminal.end() == 0
    assert "ok redis healthy 1.2 s" in terminal.screen.text
    assert terminal.written.isascii()


def test_a_look_says_nothing_about_changes_and_what_it_finds_is_no_failure(place: Path) -> None:
    shown = piped(command(place, looks=True, changed=False))
    assert "chang" not in shown
    assert re.search(r"^\(in [\d.]+ s\)$", shown, re.MULTILINE)
    found = piped(
        command(place, looks=True, failed=True, findings=[1], found="1 thing to mend", msg="1 thing to mend:\n1. x"), 2
    )
    assert "\n1 thing to mend:\n1. x\n" in found
    assert re.search(r"^1 thing to mend \(in [\d.]+ s\)$", found, re.MULTILINE)
    for never in ("FAILED", "FINDINGS", ".yml"):
        assert never not in found
