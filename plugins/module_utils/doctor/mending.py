"""Running what findings propose, where that touches nothing but what carries the stack's label."""

from __future__ import annotations

import subprocess
import threading
import time
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

COMMAND_SECONDS = 120  # a container that does not end by itself is killed well before
ENGINE_SECONDS = 60  # until a restarted engine answers again
PAUSE_SECONDS = 0.2  # an engine that starts offers nothing to wait on


class Step(NamedTuple):
    """One command that was run, with what it said where it failed."""

    command: str
    error: str

    @property
    def line(self) -> str:
        """The step for people."""
        return f"{self.command}: {self.error}" if self.error else self.command


def commands(findings: list[Finding]) -> list[str]:
    """The commands that may be run, each once and in order."""
    lines = [line for one in findings if one.fixable for line in one.mend]
    return list(dict.fromkeys(line for line in lines if not line.startswith("#")))


def mend(findings: list[Finding]) -> list[Step]:
    """Run the commands of every finding that may be mended; what fails is told, and shows in the next diagnosis."""
    steps: list[Step] = []
    for line in commands(findings):
        try:
            run = subprocess.run(
                ["sh", "-c", line], capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
            )
            steps.append(Step(line, run.stderr.strip()[-300:] if run.returncode else ""))
        except subprocess.TimeoutExpired:
            steps.append(Step(line, f"not done within {COMMAND_SECONDS} s"))
    if steps:
        await_engine()
    return steps


def await_engine() -> None:
    """Wait until the engine answers, as it does not for a moment after its restart."""
    deadline = time.monotonic() + ENGINE_SECONDS
    while time.monotonic() < deadline:
        try:
            Api().ping()
        except OSError:
            threading.Event().wait(PAUSE_SECONDS)
        else:
            return
