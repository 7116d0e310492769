# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The way back to an earlier release: which one, whether this host can still run it, and what each project runs then.

Images, configuration, environment, networks, ports and checks go back. Secrets keep their values, and data stay as they
are, so a release that cannot read today's data is refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.release import version
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import refuse_other_format
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import kept_release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import KeptData, Release, StoredRelease
    from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import StackRelease


def target(releases: Sequence[StackRelease], asked: int | None) -> StackRelease:
    """Return the release to go back to.

    :param releases: every release that is kept, oldest first
    :param asked: its number; without it, the newest one before the last, of those that differ in more than secrets
    :raises spec.SpecError: where there is none, or where it is not one to go back to; the message names those that are
    """
    applied = [one for one in releases if one.outcome == "applied"]
    if asked is None:
        before = [one for one in applied if one.number < releases[-1].number]
        if not before:
            raise spec.SpecError(
                "there is no earlier release to go back to; `./sse releases` lists those that are kept"
            )
        now = releases[-1].comes_back
        others = [one for one in before if one.comes_back != now]
        return (others or before)[-1]
    found = kept_release(releases, asked)
    others = ", ".join(str(one.number) for one in applied if one is not releases[-1])
    expected = f"expected one that was applied: {others}" if others else "no other one that was applied is kept"
    if found.outcome != "applied":
        raise spec.SpecError(f"release {asked} did not become what runs ({found.outcome}): {expected}")
    if found is releases[-1]:
        raise spec.SpecError(f"release {asked} is what runs now: {expected}")
    for part in found.parts.values():
        refuse_other_format(part)
    return found


def coming(found: StackRelease, running: StackRelease) -> list[Release]:
    """Return what each project runs then. A project that was not there yet loses its containers."""
    parts = {**found.parts, **{project: one for project, one in running.parts.items() if project not in found.parts}}
    return [plain(one if project in found.parts else emptied(one)) for project, one in parts.items()]


def plain(stored: StoredRelease) -> Release:
    """Return a release without its number and its meta."""
    return cast("Release", {key: value for key, value in stored.items() if key not in {"number", "meta"}})


def emptied(stored: StoredRelease) -> StoredRelease:
    """Return a release of a project that has no container."""
    return {**stored, "networks": {}, "containers": {}, "unavailable": {}, "endpoints": [], "checks": [], "data": []}


def problems(found: StackRelease, running: StackRelease, image_id: Callable[[str], str | None]) -> list[str]:
    """Say why this host cannot run an earlier release, one sentence for each reason.

    :param image_id: returns the id of an image by its reference or its id, or None where the host does not have it
    """
    return [*image_problems(found, image_id), *directory_problems(found, running), *format_problems(found, running)]


def image_problems(found: StackRelease, image_id: Callable[[str], str | None]) -> Iterator[str]:
    """Name the images of a release that are gone."""
    users: dict[tuple[str, str], list[str]] = {}
    for name, one in found.containers.items():
        users.setdefault((one["image"], one.get("image_id") or ""), []).append(name)
    for (reference, identity), names in users.items():
        if image_id(identity or reference) is None:
            yield (
                f"The image {reference} ({identity or 'its id was not recorded'}) of {', '.join(names)} is no longer "
                "on this host, and a rollback downloads and builds nothing: load it from an archive of that time, or "
                "run `./sse up` with the settings and the commit of that release."
            )


def directory_problems(found: StackRelease, running: StackRelease) -> Iterator[str]:
    """Name the containers that kept their data in another directory then."""
    now = running.containers
    for name, one in found.containers.items():
        for target_path, below in one["data"].items():
            today = now[name]["data"].get(target_path, below) if name in now else below
            if today != below:
                yield (
                    f"{name} keeps its data for {target_path} in {today} now, and had them in {below} then: it would "
                    "not see what was written since."
                )


def format_problems(found: StackRelease, running: StackRelease) -> Iterator[str]:
    """Name the data that a program of that time may not be able to read."""
    for project, part in running.parts.items():
        if project not in found.parts:
            continue
        then = {(one["container"], one["directory"]): one for one in found.parts[project].get("data", [])}
        for one in part.get("data", []):
            name, earlier = one["container"], then.get((one["container"], one["directory"]))
            old, new = (release["containers"].get(name) for release in (found.parts[project], part))
            if earlier:
                yield from unreadable(one, earlier)
            elif old and new and old.get("image_id") != new.get("image_id"):
                yield (
                    f"{name} has another image now, and release {part['number']} is the first that records the format "
                    "of its data: nobody can tell whether the earlier program reads them."
                )


def unreadable(now: KeptData, then: KeptData) -> Iterator[str]:
    """Say why a program of that time cannot read data of today."""
    name = now["container"]
    for setting, value in now["fits"].items():
        if (before := then["fits"].get(setting, value)) != value:
            yield f"{name}: {setting} is '{value}' now and was '{before}' then. The platform does not migrate data."
    if version(now["writes"]) > version(then["writes"]):
        yield (
            f"{name} writes its data as version {now['writes']} now and was version {then['writes']} then: the earlier "
            "program cannot read what the later one wrote."
        )
