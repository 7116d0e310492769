"""A stack that the first version of this collection deployed is taken over with nothing recreated.

first_release/ holds what that version left on a host: its release files, and the engine's list of its containers.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import ListedContainer, from_listing
from ansible_collections.sse.platform.plugins.module_utils.model.observed import Joined, Observed, Present
from ansible_collections.sse.platform.plugins.module_utils.model.plan import plan
from ansible_collections.sse.platform.plugins.module_utils.model.repair import limits, repairs
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore

LEFT = Path(__file__).with_name("first_release")
PROJECTS = ("sse-platform", "performance-dashboard")


@pytest.fixture
def state(tmp_path: Path) -> str:
    """Lay the release files out as the first version did."""
    for project in PROJECTS:
        directory = tmp_path / "releases" / project
        directory.mkdir(parents=True)
        (directory / "0001.json").write_bytes((LEFT / f"{project}.json").read_bytes())
    return str(tmp_path)


def running() -> list[Observed]:
    listing: list[ListedContainer] = json.loads((LEFT / "containers.json").read_text())
    return from_listing(listing)


@pytest.mark.parametrize("project", PROJECTS)
def test_every_container_of_the_first_version_is_kept(state: str, project: str) -> None:
    store = ReleaseStore(state, project)
    release = store.latest()
    assert release is not None
    assert store.has_applied(1)
    actions = plan(release, release["containers"], running())
    assert {one.container: one.kind for one in actions} == dict.fromkeys(release["containers"], "keep")


@pytest.mark.parametrize("project", PROJECTS)
def test_changed_files_of_a_container_of_the_first_version_are_reloaded(state: str, project: str) -> None:
    old, new = ReleaseStore(state, project).latest(), ReleaseStore(state, project).latest()
    assert old is not None
    assert new is not None
    name = next(name for name, one in new["containers"].items() if one["config"])
    one = new["containers"][name]
    one["config"] = {target: {**files, "more": "new"} for target, files in one["config"].items()}
    one["reload"] = {"check": ["c"], "signal": "SIGHUP", "says": "done", "old_processes": None}
    changed = [one for one in plan(new, old["containers"], running()) if one.kind != "keep"]
    assert [(one.kind, one.container) for one in changed] == [("reload", name)]


@pytest.mark.parametrize("project", PROJECTS)
def test_a_changed_container_of_the_first_version_is_named_with_what_changed(state: str, project: str) -> None:
    old, new = ReleaseStore(state, project).latest(), ReleaseStore(state, project).latest()
    assert old is not None
    assert new is not None
    name = next(iter(new["containers"]))
    new["containers"][name]["memory"] += 1
    changed = [one for one in plan(new, old["containers"], running()) if one.kind != "keep"]
    assert [(one.kind, one.container) for one in changed] == [("replace", name)]
    assert changed[0].reasons[0].startswith("memory: ")


@pytest.mark.parametrize("project", PROJECTS)
def test_containers_of_the_first_version_get_a_weight_of_processor_time_while_they_run(
    state: str, project: str
) -> None:
    old, new = ReleaseStore(state, project).latest(), ReleaseStore(state, project).latest()
    assert old is not None
    assert new is not None
    for name, one in new["containers"].items():
        one["cpu_shares"] = 512
        networks = {network: Joined(network, address, "", frozenset(one["aliases"])) for network, address in
                    one["networks"].items()}  # fmt: skip
        present = Present(networks, {**limits(old["containers"][name]), "cpu_shares": 0}, {}, 1.0, frozenset())
        found = [(each.kind, each.reason) for each in repairs(one, present, {network: network for network in networks})]
        assert found == [("update", "cpu shares: 0 -> 512")]
        assert list(repairs(old["containers"][name], present, {network: network for network in networks})) == []
    assert {one.kind for one in plan(new, old["containers"], running())} == {"keep"}
