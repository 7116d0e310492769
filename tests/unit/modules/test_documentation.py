"""Every plugin and role documents itself in the way that ansible-doc expects."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
KINDS = {"modules": "module", "callback": "callback", "filter": "filter"}
PLUGINS = [
    (kind, path.stem)
    for directory, kind in KINDS.items()
    for path in sorted((ROOT / "plugins" / directory).glob("*.py"))
]


@pytest.fixture(scope="module")
def documented() -> dict[str, dict[str, Any]]:
    """Everything that ansible-doc knows of the collection, by kind and name; it fails on what it cannot read."""
    command = ["ansible-doc", "--metadata-dump", "sse.platform"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    return json.loads(run.stdout)["all"]


@pytest.mark.parametrize(("kind", "name"), PLUGINS)
def test_every_plugin_says_what_it_does_and_since_when(
    documented: dict[str, dict[str, Any]], kind: str, name: str
) -> None:
    doc = documented[kind][f"sse.platform.{name}"]["doc"]
    assert doc["short_description"]
    assert doc["description"]
    assert doc["version_added"]
    assert doc["author"]


@pytest.mark.parametrize("name", [name for kind, name in PLUGINS if kind == "module"])
def test_every_module_says_how_it_behaves_in_check_and_diff_mode(
    documented: dict[str, dict[str, Any]], name: str
) -> None:
    entry = documented["module"][f"sse.platform.{name}"]
    assert {"check_mode", "diff_mode", "platform"} <= {
        attribute for attribute, said in entry["doc"]["attributes"].items() if said["support"] and said["description"]
    }
    assert entry["examples"]
    assert entry["return"]


def test_every_role_is_documented(documented: dict[str, dict[str, Any]]) -> None:
    assert set(documented["role"]) == {f"sse.platform.{path.name}" for path in (ROOT / "roles").iterdir()}
