"""The scenario `swarm-data` of Molecule runs each stage that it has, and each of them exists."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

SCENARIO = Path(__file__).resolve().parents[3] / "molecule" / "swarm-data"


def test_verify_runs_every_stage() -> None:
    stages = set(re.findall(r"(?m)^    ([\w-]+)\) ", (SCENARIO / "stages.sh").read_text()))
    (play,) = yaml.safe_load((SCENARIO / "verify.yml").read_text())
    (loop,) = (one["loop"] for one in play["tasks"] if one["name"] == "Run the stages")
    assert {one.split()[0] for one in loop} == stages
