"""Conditions of tasks are true or false: Ansible refuses a list or a text, and only when a run gets there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(
    file.relative_to(ROOT).as_posix()
    for pattern in ("playbooks/**/*.yml", "roles/*/tasks/*.yml", "roles/*/handlers/*.yml")
    for file in ROOT.glob(pattern)
)
KEYS = ("when", "until", "failed_when", "changed_when")
# A part that compares or tests is true or false.
JUDGES = re.compile(r"==|!=|<|>|\b(in|is|not|bool|exists)\b|default\((true|false)")
TRUE_OR_FALSE = {
    *("run_scope.containers", "host.backup_timer", "timed_backups.changed", "fitting_backup.comes", "cluster.copies"),
    *("settings.doctor_fix", "settings.stack_delete_data", "hostvars[__first].swarm_prepared.moves"),
    *("settings.docker_remove_engine", "settings.verify_matrix", "ansible_check_mode"),
    *("__docker_absent", "__docker_differs", "__docker_supervised", "__docker_runs", "true", "false"),
}


class Reader(yaml.SafeLoader):
    """Reads files of Ansible, whose tags mean nothing here."""


Reader.add_multi_constructor("!", lambda *_: None)  # type: ignore[no-untyped-call]


def conditions(found: Any) -> Iterator[str]:
    if isinstance(found, list):
        for one in found:
            yield from conditions(one)
    elif isinstance(found, dict):
        for key, value in found.items():
            if key in KEYS:
                yield from (" ".join(str(one).split()) for one in (value if isinstance(value, list) else [value]))
            else:
                yield from conditions(value)


def open_ended(condition: str) -> list[str]:
    """The parts of a condition that may be a list or a text."""
    parts = [] if condition.startswith("not (") else re.split(r"\band\b|\bor\b", condition)
    parts = [one.strip(" ()") for one in parts]
    return [one for one in parts if not JUDGES.search(one) and one.lower() not in TRUE_OR_FALSE]


@pytest.mark.parametrize("file", FILES)
def test_a_condition_is_true_or_false(file: str) -> None:
    read = yaml.load((ROOT / file).read_text(), Reader)
    assert {one: parts for one in conditions(read) if (parts := open_ended(one))} == {}


def test_a_list_at_the_end_is_found() -> None:
    assert open_ended("host == asked and hostvars[first].judged.changes") == ["hostvars[first].judged.changes"]
    assert open_ended("host == asked and judged.changes | length > 0") == []


def test_doctor_rewrites_no_chain_of_the_swarm_while_a_host_is_silent() -> None:
    [play] = yaml.load((ROOT / "playbooks/cluster/doctor.yml").read_text(), Reader)
    [mends] = [one["when"] for one in play["tasks"] if "admitted" in str(one.get("block"))]
    judge = jinja2.Environment(autoescape=True).compile_expression(mends)
    known = {"settings": {"doctor_fix": True}}
    assert judge(**known, cluster={"port_findings": ["one"], "silent": []})
    assert not judge(**known, cluster={"port_findings": ["one"], "silent": ["two"]})


def test_a_rollout_that_goes_back_asks_about_copies_before_its_first_wave_too() -> None:
    [wave] = yaml.load((ROOT / "playbooks/cluster/wave.yml").read_text(), Reader)
    [asks] = [one["when"] for one in wave["block"] if "copies.yml" in str(one)]
    judge = jinja2.Environment(autoescape=True).compile_expression(asks)
    first = {"swarm_changes": ["~ k-2"], "swarm_prepared": {"moves": False}}
    known = {"cluster": {"copies": True}, "__first": "a", "hostvars": {"a": first}}
    assert [bool(judge(**known, cluster_wave=wave)) for wave in (0, 1)] == [False, True]
    assert judge(**known, cluster_wave=0, cluster_going_back="The rollout was aborted by ana.")


def test_a_way_back_bridges_the_networks_of_two_layouts_as_the_way_there_does() -> None:
    def bridges(name: str) -> list[Any]:
        found = yaml.load((ROOT / f"playbooks/cluster/{name}.yml").read_text(), Reader)
        tasks = found[0].get("block", found)
        order = [one for one in tasks if "wave.yml" in str(one.get("ansible.builtin.include_tasks"))]
        return [one.get("vars", {}).get("cluster_bridges", False) for one in order]

    assert bridges("services") == bridges("back") == [True, False]


def test_a_run_from_another_machine_takes_a_lock_again_that_ended_while_others_worked() -> None:
    [wave] = yaml.load((ROOT / "playbooks/cluster/wave.yml").read_text(), Reader)
    locks, *_ = wave["block"]
    assert "sse.platform.lock" in locks
    judge = jinja2.Environment(autoescape=True).compile_expression(locks["when"])
    known = {"inventory_hostname": "a", "__first": "a", "swarm_changes": ["~ k-2"], "cluster_lock": {"give_back": True}}
    assert judge(**known)
    for other in ({"cluster_lock": {"give_back": False}}, {"swarm_changes": []}, {"inventory_hostname": "b"}):
        assert not judge(**{**known, **other})
    assert not judge(**{**known, "cluster_lock": {"skipped": True}})  # rotate has a lock of its own
