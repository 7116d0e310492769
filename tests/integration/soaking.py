"""Run bench/soak.py, which checks the promise, on a stack."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack

LIMIT_SECONDS = 400  # it needs some forty; a run that hangs must end with the session


def soak(stack: Stack, faults: str = "", command: str = "", subscribers: int = 200) -> dict[str, Any]:
    """Run bench/soak.py, expect that the promise held, and return the figures."""
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        arguments = ["--stack", stack.name, "--subscribers", str(subscribers), "--json", report.name]
        arguments += [f"--faults={faults}", *(["--command", command] if command else [])]
        run = subprocess.run(
            [sys.executable, str(ROOT / "bench" / "soak.py"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=LIMIT_SECONDS,
        )
        assert run.returncode == 0, run.stdout + run.stderr
        return json.loads(Path(report.name).read_text())


def up(stack: Stack, **variables: Any) -> str:
    """Return the command that brings a stack up."""
    given = json.dumps({**stack.variables, **variables})
    playbook = [str(Path(sys.executable).with_name("ansible-playbook")), "playbooks/site.yml", "--extra-vars", given]
    return f"ANSIBLE_CONFIG={ROOT}/ansible.cfg LC_ALL=C.UTF-8 {shlex.join(playbook)}"
