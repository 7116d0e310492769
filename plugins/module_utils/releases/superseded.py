# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which images of ours go: those that this stack used before and no stack of this host needs now.

Each stack keeps a list of the images that it needs and of those that it used before, in its state directory. An image
that another checkout built for another stack is in no list of this stack, so it stays.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import stores

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import ListedImage

FILE = "images.json"
# Seconds after which a stage that led to no image is taken for the rest of a failed build. A build may run until then.
STAGE_SECONDS = 3600
# Labels that each stage of a build gets (images/build_contexts.py).
STAGE, BUILDER = "sse.platform.stage", "sse.platform.builder"


class _Record(TypedDict):
    needed: list[str]  # references of the newest run
    used: list[str]  # the same of earlier runs, as long as the host has the image


class Pruned(NamedTuple):
    """What was removed."""

    references: list[str]
    stages: int  # of failed builds


def prune(engine: Engine, state_directory: str, needed: Iterable[str], kept: Iterable[str]) -> Pruned:
    """Remove the images that this stack used before and that nothing needs now, and what failed builds left.

    :param needed: references that a run of this stack can need, also those that others are built from
    :param kept: references of the releases of this stack that are kept
    """
    used = set(_read(Path(state_directory))["used"]) | set(needed)
    listed = engine.images()
    there = {tag for one in listed for tag in one["RepoTags"] or ()}
    try:
        held = {*needed, *kept, *engine.images_in_use(), *_held_by_others(Path(state_directory))}
    except SpecError:
        held = there  # a release of another stack cannot be read, so nobody knows what it needs
    gone = [tag for tag in sorted(used & there - held) if _removed(engine, tag)]
    record: _Record = {"needed": sorted(needed), "used": sorted((used & there) - set(gone))}
    write_file(Path(state_directory) / FILE, json.dumps(record, indent=1))
    stages, failed = stale_stages(listed, there - set(gone), time.time())
    for stage in stages:
        _removed(engine, stage)
    return Pruned(gone, sum(_removed(engine, stage) for stage in failed))


def stale_stages(listed: Iterable[ListedImage], there: set[str], now: float) -> tuple[list[str], list[str]]:
    """Return the ids of the stages whose image is gone, and of those that never led to one. Pure.

    A stage of an image that is there stays: it makes the next build of this image fast.

    :param there: all references on the host
    """
    superseded: list[str] = []
    failed: list[str] = []
    for one in listed:
        labels = one.get("Labels") or {}
        tagged = [tag for tag in one["RepoTags"] or () if tag != "<none>:<none>"]
        if tagged or not labels.keys() & {STAGE, BUILDER} or labels.get(BUILDER) in there:
            continue
        if now - one["Created"] > STAGE_SECONDS:
            (superseded if BUILDER in labels else failed).append(one["Id"])
    return superseded, failed


def _held_by_others(state_directory: Path) -> set[str]:
    """Return the references that every other stack of this host needs, or has in a release that is kept."""
    held: set[str] = set()
    for other in state_directory.parent.iterdir():
        if other != state_directory and ((other / "releases").is_dir() or (other / FILE).is_file()):
            held.update(_read(other)["needed"])
            held.update(
                spec["image"]
                for store in stores(str(other))
                for one in store.all()
                for spec in one["containers"].values()
            )
    return held


def _read(state_directory: Path) -> _Record:
    """Read the list of a stack; a stack that an earlier version made has none."""
    try:
        found = json.loads((state_directory / FILE).read_text())
        return {"needed": found.get("needed", []), "used": found.get("used", [])}
    except (OSError, ValueError, AttributeError):
        return {"needed": [], "used": []}


def _removed(engine: Engine, image: str) -> bool:
    """Remove an image, unless a container has it."""
    with contextlib.suppress(EngineError):
        engine.untag(image)
        return True
    return False
