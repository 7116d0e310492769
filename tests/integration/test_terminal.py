"""What people see in a terminal while a run works, and when they watch; and what programs get instead."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.tests.integration.stack import ROOT
from terminal import Terminal

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

pytestmark = pytest.mark.usefixtures("stack")


def command(stack: Stack, verb: str, *words: str) -> list[str]:
    return [sys.executable, str(ROOT / "tools" / "front.py"), verb, "-e", json.dumps(stack.variables), *words]


def environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "PATH": path}


def test_a_run_shows_a_row_for_each_container_that_changes_and_leaves_the_terminal_whole(stack: Stack) -> None:
    stack.container("redis-exporter").remove(force=True)
    terminal = Terminal(command(stack, "up"), columns=60, more=environment())
    assert terminal.until(lambda screen: bool(re.search(r"[⠋-⠿] redis-exporter +\w+ing [\d.]+ s", screen.text)))
    assert terminal.until(lambda screen: "✔ redis-exporter" in screen.text)
    assert terminal.end() == 0
    shown = terminal.screen.text
    assert len(re.findall(r"^  ✔ redis-exporter +healthy [\d.]+ s$", shown, re.MULTILINE)) == 1
    assert shown.count(f"+ {stack.name}-redis-exporter (new)") == 1
    assert not re.search(r"[⠋-⠿]|^ +\.\.\. ", shown, re.MULTILINE)  # nothing that was drawn is left
    assert shown.index("Performance dashboard") < shown.index("API ")
    assert not terminal.screen.coloured
    assert "?25" not in terminal.written  # the cursor was never hidden


def test_who_watches_sees_the_state_again_and_again_until_ctrl_c_which_is_no_failure(stack: Stack) -> None:
    terminal = Terminal(command(stack, "status", "--watch"), columns=50, lines=24, more=environment())
    frames: set[str] = set()

    def twice(screen: object) -> bool:
        frames.update(re.findall(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", terminal.screen.text))
        return len(frames) > 1

    assert terminal.until(twice)
    assert terminal.until(lambda screen: f"{stack.name}-kafka" in screen.text)  # the second one may still be drawn
    terminal.press("\x03")
    assert terminal.end() == 0
    assert "ERROR" not in terminal.screen.text
    assert max(map(len, terminal.screen.rows)) <= 50
    assert not terminal.screen.coloured


def test_a_program_gets_one_document_and_nothing_else(stack: Stack) -> None:
    run = subprocess.run(
        command(stack, "status", "--json"),
        env={**os.environ, **environment(), "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    document = json.loads(run.stdout)
    assert document["format"] == 1
    (host,) = document["hosts"]
    assert (host["error"], host["stack"]) == ("", stack.name)
    found = {one["name"]: one for one in host["containers"]}
    assert set(found) == set(stack.containers())
    assert {one["state"] for one in found.values()} == {"healthy"}
    kafka = found[f"{stack.name}-kafka"]
    assert kafka["memory_bytes"] > 2**20 < kafka["memory_limit_bytes"]
    assert kafka["cpu_percent"] >= 0
    assert host["open"][0]["name"] == "Performance dashboard"
