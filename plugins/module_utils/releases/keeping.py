# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which releases stay on the host with their images, so that a rollback works offline, and which are removed.

An image of an earlier release gets a tag of our own: its first tag may move to another image or be removed by another
stack, and the engine prunes an image that has no tag.
"""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases import materials
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import (
    current_release,
    stack_releases,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import StackRelease

REPOSITORY = "sse-kept"  # of our tags: sse-kept/<stack>:<first digits of the image's id>
ID_DIGITS = 24  # of SHA-256: no two images of a host share so many
File = tuple[str, int]  # a project and a number


class Kept(NamedTuple):
    """What stays: releases of the stack, and the files and images that they consist of."""

    numbers: set[int]
    files: set[File]
    images: dict[str, str]  # reference -> id, of every kept release
    to_tag: set[str]  # ids of the images that only earlier releases use


def choose(releases: Sequence[StackRelease], running: StackRelease, labels: set[File], keep: int) -> Kept:
    """Return what stays. Pure.

    :param releases: every release of the stack, oldest first
    :param running: what runs now
    :param labels: the releases that running containers name
    :param keep: how many releases that were applied stay; as many that failed stay if they are not older than those.
        Of some in a row that differ in nothing but secrets, the newest one stays: a rollback to any of them is the same
    """
    applied = distinct([one for one in releases if one.outcome == "applied"])[-keep:]
    oldest = min([running.number, *(one.number for one in applied)])
    others = [one for one in releases if one.outcome != "applied" and one.number > oldest][-keep:]
    earlier = [one for one in applied if one.number != running.number]
    current = {one.get("image_id") for one in running.containers.values()}
    stay = [*applied, *others, running]
    return Kept(
        {one.number for one in stay},
        labels | {(project, part["number"]) for one in stay for project, part in one.parts.items()},
        {spec["image"]: spec.get("image_id") or "" for one in (*earlier, running) for spec in one.containers.values()},
        {found for one in earlier for spec in one.containers.values() if (found := spec.get("image_id"))} - current,
    )


def distinct(applied: Sequence[StackRelease]) -> list[StackRelease]:
    """Leave out each release whose next one brings the same back."""
    return [one for one, later in itertools.pairwise(applied) if one.comes_back != later.comes_back] + list(
        applied[-1:]
    )


def tidy(state_directory: str, stack: str, keep: int) -> list[str]:
    """Tag the images of kept releases, and remove what no kept release needs: files of releases, and tags of ours.

    A release that cannot be read stays, and so does everything else then.

    :returns: the references that kept releases have for their images
    """
    try:
        releases, running = stack_releases(state_directory), current_release(state_directory)
    except SpecError:
        return []
    if running is None:
        return []
    engine = Engine()
    labels = {(one.label("project"), one.release) for one in engine.containers() if one.label("stack") == stack}
    kept = choose(releases, running, labels, keep)
    tags = {tag_of(stack, identity): identity for identity in kept.to_tag}
    present = our_tags(engine, stack)
    for tag in tags.keys() - present:
        with contextlib.suppress(EngineError):  # somebody removed the image: a rollback to it is refused then
            engine.tag(tags[tag], tag)
    for tag in present - tags.keys():
        with contextlib.suppress(EngineError):  # a container of somebody else runs the image: the next run tries again
            engine.untag(tag)
    for project in {name for one in releases for name in one.parts}:
        store = ReleaseStore(state_directory, project)
        for number in store.numbers():
            if (project, number) not in kept.files:
                store.remove(number)
    materials.forget(state_directory, [one for one in releases if one.number in kept.numbers])
    return sorted(kept.images)


def tag_of(stack: str, identity: str) -> str:
    """Return our tag for an image."""
    return f"{REPOSITORY}/{stack}:{identity.removeprefix('sha256:')[:ID_DIGITS]}"


def our_tags(engine: Engine, stack: str) -> set[str]:
    """Return the tags that keep images for a stack."""
    return {tag for tag in engine.image_tags() if tag.startswith(f"{REPOSITORY}/{stack}:")}


def forget(engine: Engine, stack: str) -> None:
    """Remove every tag that keeps an image for a stack."""
    for tag in our_tags(engine, stack):
        with contextlib.suppress(EngineError):  # somebody else runs the image
            engine.untag(tag)
