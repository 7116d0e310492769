"""The picture of what is deployed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack


def test_the_picture_shows_every_container_that_runs_at_its_address(stack: Stack) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # as ./sse sets it
    command = [sys.executable, str(ROOT / "tools" / "diagram.py"), "-e", f"stack_name={stack.name}"]
    run = subprocess.run(command, env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    for name, one in stack.containers().items():
        if "-app-" in name:
            continue  # replicas that are alike are one box, from the first to the last
        [address] = {network["IPAddress"] for network in one.attrs["NetworkSettings"]["Networks"].values()}
        assert f'"{name}<br>{address}"' in run.stdout
    assert f"{stack.name}-app-1 … {stack.name}-app-3" in run.stdout
