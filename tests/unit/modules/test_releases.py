"""What a cluster asks its first manager about releases: what was applied, and the way back without its own images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.action import cluster
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.modules import releases
from ansible_collections.sse.platform.tests.unit.deploy.played_swarm import FULL, Stand, container, release

LATER = release(container("a", image="i:2"), FULL["containers"]["sse-k"])


class NoEngine:
    """Stands for the engine of a host that is not to be asked."""

    def __init__(self) -> None:
        raise AssertionError("the images of a cluster are asked for on each host")


@pytest.fixture
def stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stand:
    """A manager with two releases."""
    monkeypatch.setattr(releases, "Engine", NoEngine)
    stand = Stand(tmp_path / "state")
    stand.run(FULL)
    stand.run(LATER)
    return stand


def test_the_way_back_of_a_cluster_leads_over_the_release_store_of_its_manager(stand: Stand) -> None:
    found = releases.look(stand.directory, "rollback", [], images=False)
    assert found["target"] == 1
    [earlier] = found["releases"]
    assert earlier["containers"]["sse-a"]["image"] == "i:1"
    back: Any = {**run_meta({"who": "me"}), "back_to": 1}
    done = stand.run(earlier, meta=back).changes
    assert [line for line in done if line.startswith("~ sse-a: ") and "Image: i:2 -> i:1" in line]
    assert stand.numbers() == [(1, "applied"), (2, "applied"), (3, "applied")]
    assert ReleaseStore(stand.directory, "p").all()[-1]["meta"].get("note") == "rollback to 1"
    assert attempts(stand.directory)[-1].get("back_to") == 1


def test_drift_is_compared_with_what_was_applied_and_not_with_what_failed(stand: Stand) -> None:
    stand.swarm.fails = "sse-a"
    with pytest.raises(ApplyError):
        stand.run(release(container("a", image="i:3"), FULL["containers"]["sse-k"]))
    [applied] = releases.look(stand.directory, "applied", [])["releases"]
    assert applied["containers"]["sse-a"]["image"] == "i:2"
    assert "number" not in applied


def test_where_nothing_was_applied_there_is_nothing_to_compare_with(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="nothing was applied here yet"):
        releases.look(str(tmp_path), "applied", [])


def test_images_of_a_kept_release_that_a_host_lacks_are_told_by_their_references() -> None:
    host: Any = {"images": {"i:1": "sha256:1"}}
    assert cluster.gone(host, [FULL]) == {}
    assert list(cluster.gone(host, [LATER])) == ["i:2"]
