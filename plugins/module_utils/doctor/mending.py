# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How findings are mended: by their commands, where these change only what carries the label of the stack."""

from __future__ import annotations

import os
import subprocess
import threading

from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET, Api
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

COMMAND_SECONDS = 120  # a container that does not end by itself is killed well before
ENGINE_SECONDS = 60  # until an engine that was restarted answers again
PAUSE_SECONDS = 0.2  # between two questions to an engine that starts


def commands(findings: list[Finding]) -> list[str]:
    """Return the commands that may be run, each once and in order."""
    lines = [line for one in findings if one.fixable for line in one.mend]
    return list(dict.fromkeys(line for line in lines if not line.startswith("#")))


def mend(findings: list[Finding]) -> list[str]:
    """Run these commands; return each, with its error where it failed. The next diagnosis shows what is left."""
    ran: list[str] = []
    # Nothing of the environment leads the docker command to another engine.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
    environment["DOCKER_HOST"] = f"unix://{SOCKET}"
    for line in commands(findings):
        command = ["sh", "-c", line]
        try:
            run = subprocess.run(
                command, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS, env=environment
            )
            ran.append(f"{line}: {run.stderr.strip()[-300:]}" if run.returncode else line)
        except subprocess.TimeoutExpired:
            ran.append(f"{line}: it did not end within {COMMAND_SECONDS} s")
    if ran:
        await_engine()
    return ran


def await_engine() -> None:
    """Wait until the engine answers: after its restart it needs a moment."""
    for __ in range(int(ENGINE_SECONDS / PAUSE_SECONDS)):
        try:
            return Api().ping()
        except OSError:
            threading.Event().wait(PAUSE_SECONDS)
    return None
