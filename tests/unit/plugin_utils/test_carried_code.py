"""A module runs from carried code as Ansible would run it, and every module that runs on a host does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.host import kept_code
from ansible_collections.sse.platform.plugins.plugin_utils import carried_code

ROOT = Path(__file__).resolve().parents[3]
ARGUMENTS = {"state_directory": "/nonexistent", "_ansible_check_mode": True}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "kept"


def answer(home: Path, *, brings: bool) -> dict[str, Any]:
    """Run host_info as a host does, from another place that is kept."""
    script = carried_code.script("host_info", ARGUMENTS, brings=brings).replace(kept_code.HOME.encode(), bytes(home))
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable], input=script, capture_output=True, env=environment, check=False)
    assert run.returncode == 0, run.stderr.decode()
    return json.loads(run.stdout)


def test_a_host_without_the_code_says_so_and_keeps_nothing(home: Path) -> None:
    assert answer(home, brings=False) == {kept_code.MISSING: True, "can_keep": os.geteuid() == 0}
    assert not home.exists()


def test_a_module_runs_from_the_code_that_was_brought_once(home: Path) -> None:
    assert answer(home, brings=True)["distribution"]
    found = answer(home, brings=False)
    assert found["distribution"]
    assert found["invocation"]["module_args"]["state_directory"] == "/nonexistent"
    assert list(home.glob("*/ansible/module_utils/__pycache__/basic.*.pyc")), "it compiles them at each task"


def test_damaged_code_is_not_run(home: Path) -> None:
    answer(home, brings=True)
    next(home.glob("*/ansible/module_utils/basic.py")).write_text("raise SystemExit('run')")
    assert answer(home, brings=False)[kept_code.MISSING]
    assert answer(home, brings=True)["distribution"]


def test_this_ansible_starts_modules_as_we_do() -> None:
    assert carried_code.fits()


def test_every_module_that_runs_on_a_host_runs_from_kept_code() -> None:
    routing = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["plugin_routing"]["action"]
    actions = {path.stem for path in (ROOT / "plugins/action").glob("*.py")}
    modules = {path.stem for path in (ROOT / "plugins/modules").glob("*.py")}
    assert set(routing) == modules - actions
    assert {one["redirect"] for one in routing.values()} == {"sse.platform.on_host", "sse.platform.telling"}
