"""Which images of ours are removed after a run: only what this stack used before and nobody needs now."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.releases import superseded
from ansible_collections.sse.platform.plugins.module_utils.releases.superseded import Pruned

OLD, NEW, BASE = "sse-platform/app:1", "sse-platform/app:2", "sse-platform/base:1"


class Images:
    """An engine that has images, some of them in use."""

    def __init__(self, *references: str) -> None:
        self.listed: list[dict[str, Any]] = [
            {"Id": f"id-{one}", "RepoTags": [one], "Labels": None, "Created": 0} for one in references
        ]
        self.in_use: set[str] = set()

    def stage(self, identity: str, created: float = 0, **labels: str) -> None:
        named = {f"sse.platform.{key}": value for key, value in labels.items()}
        self.listed.append({"Id": identity, "RepoTags": ["<none>:<none>"], "Labels": named, "Created": created})

    def images(self) -> list[dict[str, Any]]:
        return self.listed

    def images_in_use(self) -> set[str]:
        return self.in_use

    def untag(self, image: str) -> None:
        if image in self.in_use:
            raise EngineError("in use")
        self.listed = [one for one in self.listed if image not in {one["Id"], *one["RepoTags"]}]

    @property
    def left(self) -> set[str]:
        return {one["Id"].removeprefix("id-") for one in self.listed}


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of this stack, beside those of others."""
    directory = tmp_path / "sse-platform"
    directory.mkdir()
    return directory


def prune(engine: Images, state: Path, *needed: str, kept: tuple[str, ...] = ()) -> Pruned:
    return superseded.prune(cast("Engine", engine), str(state), needed, kept)


def other(state: Path, needed: list[str], released: str) -> None:
    """Another stack of the host, with a release that is kept."""
    store = state.parent / "demo-platform/releases/demo-platform"
    store.mkdir(parents=True)
    (store / "0001.json").write_text(json.dumps({"number": 1, "containers": {"a": {"image": released}}}))
    (state.parent / "demo-platform/images.json").write_text(json.dumps({"needed": needed}))


def test_an_image_that_this_stack_used_before_goes_and_one_of_another_checkout_stays(state: Path) -> None:
    engine = Images(OLD, NEW, BASE, "sse-platform/app:of-another-checkout", "redis:8")
    assert prune(engine, state, OLD, BASE) == Pruned([], 0)
    assert prune(engine, state, NEW, BASE) == Pruned([OLD], 0)
    assert engine.left == {NEW, BASE, "sse-platform/app:of-another-checkout", "redis:8"}
    assert prune(engine, state, NEW, BASE) == Pruned([], 0)


def test_an_image_stays_until_the_last_stack_lets_go_of_it(state: Path) -> None:
    engine = Images(OLD, NEW, BASE)
    other(state, needed=[BASE], released=OLD)
    prune(engine, state, OLD, BASE)
    assert prune(engine, state, NEW) == Pruned([], 0)
    for path in (state.parent / "demo-platform").rglob("*.json"):
        path.unlink()
    assert prune(engine, state, NEW) == Pruned([OLD, BASE], 0)


def test_an_image_of_a_kept_release_or_of_any_container_stays(state: Path) -> None:
    engine = Images(OLD, NEW, BASE)
    prune(engine, state, OLD, BASE)
    engine.in_use = {BASE}
    assert prune(engine, state, NEW, kept=(OLD,)) == Pruned([], 0)
    assert prune(engine, state, NEW) == Pruned([OLD], 0)
    assert engine.left == {NEW, BASE}


def test_nothing_goes_while_a_release_of_another_stack_can_not_be_read(state: Path) -> None:
    engine = Images(OLD, NEW)
    other(state, needed=[], released="another")
    next((state.parent / "demo-platform").rglob("0001.json")).write_text("{")
    prune(engine, state, OLD)
    assert prune(engine, state, NEW) == Pruned([], 0)
    assert engine.left == {OLD, NEW}


def test_a_stage_goes_with_its_image_or_when_its_build_failed_and_a_build_that_runs_keeps_its_own(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(superseded.time, "time", lambda: 10_000)
    engine = Images(OLD, NEW)
    engine.stage("cache", builder=NEW, stage="true")
    engine.stage("of-old", builder=OLD, stage="true")
    engine.stage("first-stage-of-a-failed-build", builder="sse-platform/app:3", stage="true")
    engine.stage("failed", stage="true")
    engine.stage("running", created=9_000, stage="true")
    engine.stage("of-somebody-else")
    prune(engine, state, OLD, NEW)
    assert engine.left == {OLD, NEW, "cache", "of-old", "running", "of-somebody-else"}
    prune(engine, state, NEW)
    assert engine.left == {NEW, "cache", "running", "of-somebody-else"}
