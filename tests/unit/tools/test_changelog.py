"""CHANGELOG.md is what antsibull-changelog makes of `changelogs/`; nobody edits it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_changelog_is_generated(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "changelogs", tmp_path / "changelogs")
    shutil.copy(ROOT / "galaxy.yml", tmp_path)
    subprocess.run(["antsibull-changelog", "generate"], cwd=tmp_path, check=True)
    made = (tmp_path / "CHANGELOG.md").read_text()
    assert (ROOT / "CHANGELOG.md").read_text() == made, "antsibull-changelog generate makes it anew"
