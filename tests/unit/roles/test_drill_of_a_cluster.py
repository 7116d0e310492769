"""A drill tries the backup of a cluster on one host, with no setting that one host refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]


def of_a_cluster_alone() -> list[dict[str, Any]]:
    """The values that are refused with `deployment: host`."""
    files = [yaml.safe_load(file.read_text()) for file in ROOT.glob("roles/*/meta/values.yml")]
    whens = [
        refused["when"]
        for values in files
        for one in values.values()
        for refused in one.get("refused", [])
        if "when" in refused
    ]
    return [
        {name: value for name, value in when.items() if name != "deployment"}
        for when in whens
        if when.get("deployment") == "host"
    ]


def test_a_setting_that_only_a_cluster_may_have_is_another_one_in_its_drill() -> None:
    tasks: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks/tasks/drill_stack.yml").read_text())
    [instead] = [one["vars"]["__one_host"] for one in tasks if "__one_host" in one.get("vars", {})]
    refused = of_a_cluster_alone()
    assert {"network_encrypted": True} in refused
    assert instead["deployment"] == "host"
    for values in refused:
        assert any(name in instead and instead[name] != value for name, value in values.items()), values
