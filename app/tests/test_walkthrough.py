"""The commands of docs/http-api.md, and the examples of the Python client, do what the page says that they do."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sse_harness import APP, Replicas

ROOT = APP.parent
# Each page, with at least how many commands it shows.
PAGES = {"docs/http-api.md": 9, "clients/python/README.md": 4}
STEP = re.compile(r"^```(sh|python)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)


def pattern(shown: str) -> str:
    """What was shown, with ... for anything within a line."""
    return "[^\n]*".join(re.escape(part) for part in shown.strip("\n").split("..."))


@pytest.mark.parametrize("page", PAGES)
def test_every_command_prints_what_the_page_shows(page: str, tmp_path: Path) -> None:
    steps = STEP.findall((ROOT / page).read_text())
    assert len(steps) >= PAGES[page]
    script = ["set -eu"]
    for number, (language, code, _) in enumerate(steps):
        command = code
        if language == "python":
            (tmp_path / f"{number}.py").write_text(code)
            command = f"{sys.executable} {number}.py\n"
        script += [f"{{ {command}}} > {number}.txt 2>&1"]
    with Replicas() as replica:
        url = f"http://127.0.0.1:{replica.port}"
        environment = {"API": f"{url}/api/v1", "SSE_URL": url, "PYTHONPATH": str(ROOT / "clients/python")}
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
