"""Tasks of the playbooks of clusters: of which run they say they are, and what comes after a host that is lost."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
MODULE = "sse.platform.swarm_services"
LOCKING = ("prepared", "present", "absent", "forgotten", "drained", "left")  # present where none is given


def tasks(found: Any) -> Iterator[dict[str, Any]]:
    """Every task below a play, a block or a list of them."""
    for one in found if isinstance(found, list) else ():
        yield one
        for key in ("tasks", "block", "rescue", "always"):
            yield from tasks(one.get(key))


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks/cluster").glob("*.yml")), ids=lambda path: path.name)
def test_who_asks_for_services_says_of_which_run_that_is(path: Path) -> None:
    asked = [(one["name"], one[MODULE]) for one in tasks(yaml.safe_load(path.read_text())) if MODULE in one]
    unnamed = [name for name, given in asked if given.get("state", "present") in LOCKING and "meta" not in given]
    assert not unnamed, f"expected meta in {unnamed}: a run that has the lock refuses what is of no run"


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks/cluster").glob("*.yml")), ids=lambda path: path.name)
def test_a_host_whose_loss_is_ignored_does_not_end_the_play(path: Path) -> None:
    every = list(tasks(yaml.safe_load(path.read_text())))
    if any("hosts" in one and not one.get("any_errors_fatal") for one in every):
        return
    ended = [one["name"] for one in every if one.get("ignore_unreachable") and one.get("any_errors_fatal") is not False]
    assert not ended, f"expected any_errors_fatal: false at {ended}: Ansible ends a play with true for such a host, too"


@pytest.mark.parametrize("path", sorted((ROOT / "playbooks/cluster").glob("*.yml")), ids=lambda path: path.name)
def test_a_task_that_shows_nothing_has_the_next_one_say_why_it_failed(path: Path) -> None:
    every = list(tasks(yaml.safe_load(path.read_text())))
    hidden = [one["name"] for one in every if one.get("no_log") and one.get("failed_when") is not False]
    assert not hidden, f"expected failed_when: false at {hidden}: Ansible hides why a task with no_log failed, too"


def test_the_drawing_of_the_connections_is_shown_where_there_are_findings_too() -> None:
    order = [one.get("name") for one in tasks(yaml.safe_load((ROOT / "playbooks/cluster/verify.yml").read_text()))]
    assert order.index("Draw the connections") < order.index("Verification")  # which ends the run with findings


def test_a_cluster_is_destroyed_only_where_the_engine_of_each_host_answers() -> None:
    order = [one.get("name") for one in tasks(yaml.safe_load((ROOT / "playbooks/cluster/destroy.yml").read_text()))]
    assert order.index("Expect an engine on every host") < order.index("Ask") < order.index("Remove the services")


def test_a_step_to_another_number_has_its_lock_where_something_ends_and_where_others_decide() -> None:
    order = [one.get("name", "") for one in tasks(yaml.safe_load((ROOT / "playbooks/cluster/resize.yml").read_text()))]
    for before, after in (("before the others end", "Stop all but"), ("before they decide", "Have them decide")):
        [place] = [order.index(name) for name in order if name == f"Lock the stack on, {before}"]
        assert order[place + 1].startswith(after)


@pytest.mark.parametrize("verb", ["backup", "status", "node_remove"])
def test_a_verb_that_goes_on_without_hosts_fails_where_none_of_them_answers(verb: str) -> None:
    given = "ansible_host=127.0.0.1 ansible_port=1 asked_host=one exposure_unauthenticated_publishing=true"
    playbook = ROOT / f"playbooks/cluster/{verb}.yml"
    ended = subprocess.run(
        ["ansible-playbook", "-i", ROOT / "inventory/cluster-example", playbook, "-e", given],
        env=os.environ | {"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode, f"expected another exit code than 0: whoever calls this would take it for done\n{ended}"
    assert "UNREACHABLE in prepare on one" in ended.stdout, ended
