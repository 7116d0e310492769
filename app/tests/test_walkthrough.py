"""The commands of docs/http-api.md do what it says that they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from sse_harness import APP, Replicas

PAGE = APP.parent / "docs" / "http-api.md"
STEP = re.compile(r"^```(sh|python)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def pattern(shown: str) -> str:
    """What was shown, with ... for anything within a line."""
    return "[^\n]*".join(re.escape(part) for part in shown.strip("\n").split("..."))


def test_every_command_prints_what_the_page_shows(tmp_path: Path) -> None:
    steps = STEP.findall(PAGE.read_text())
    assert len(steps) > 8
    script = ["set -eu"]
    for number, (language, code, _) in enumerate(steps):
        command = code
        if language == "python":
            (tmp_path / f"{number}.py").write_text(code)
            command = f"{sys.executable} {number}.py\n"
        script += [f"{{ {command}}} > {number}.txt 2>&1"]
    with Replicas() as replica:
        environment = {"API": f"http://127.0.0.1:{replica.port}/api/v1", "PYTHONPATH": str(APP)}
        run = subprocess.run(
            ["sh", "-c", "\n".join(script)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=60,
        )
    printed = [
        (tmp_path / f"{n}.txt").read_text() if (tmp_path / f"{n}.txt").exists() else "" for n in range(len(steps))
    ]
    assert run.returncode == 0, run.stderr + printed[-1]
    for (_, code, shown), text in zip(steps, printed, strict=True):
        # curl says on the error output that it was told to stop
        said = re.sub(r"curl: \(28\) [^\n]*\n", "", text).strip("\n")
        assert re.fullmatch(pattern(shown), said), f"{code}\nprinted\n{said}"
