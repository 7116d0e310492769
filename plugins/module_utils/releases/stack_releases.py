# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The releases of a whole stack: for each number, what every project ran then."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import (
    newest_releases,
    stores,
    was_applied,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Meta, Spec, StoredRelease

Parts = dict[str, "StoredRelease"]  # by project


class StackRelease(NamedTuple):
    """One number of the stack. A project that did not change then has the release that it had before."""

    number: int
    parts: Parts

    @property
    def own(self) -> list[StoredRelease]:
        """Return the releases that were made with this number."""
        return [one for one in self.parts.values() if one["number"] == self.number]

    @property
    def meta(self) -> Meta:
        """Return who made it, when and why."""
        return self.own[0]["meta"]

    @property
    def outcome(self) -> str:
        """Return what came of it: the outcome of a project that was not applied, if there is one."""
        outcomes = [one["meta"].get("outcome", "") for one in self.own]
        return next((one for one in outcomes if one != "applied"), "applied") or "not known"

    @property
    def comes_back(self) -> object:
        """Return what a rollback to it brings back: everything but the values of secrets."""
        return {
            project: {
                **{key: value for key, value in part.items() if key not in {"number", "meta"}},
                "containers": {
                    name: {key: value for key, value in one.items() if key != "fingerprints"}
                    for name, one in part["containers"].items()
                },
            }
            for project, part in self.parts.items()
        }

    @property
    def containers(self) -> dict[str, Spec]:
        """Return all specs by full name."""
        return {name: one for part in self.parts.values() for name, one in part["containers"].items()}


def stack_releases(state_directory: str) -> list[StackRelease]:
    """Return every release of the stack that is kept, oldest first.

    :raises spec.SpecError: for a damaged file
    """
    files = {store.project: store.all() for store in stores(state_directory)}
    numbers = sorted({one["number"] for kept in files.values() for one in kept})
    return [StackRelease(number, parts_at(number, files)) for number in numbers]


def parts_at(number: int, files: Mapping[str, Sequence[StoredRelease]]) -> Parts:
    """Return for each project its release of this number, else the newest one before it that was applied."""
    found: Parts = {}
    for project, kept in files.items():
        for one in kept:
            if one["number"] == number or (one["number"] < number and was_applied(one)):
                found[project] = one
    return found


def applied_parts(releases: Iterable[StoredRelease]) -> Parts:
    """Return of each project the last of these releases that was applied."""
    return {one["project"]: one for one in releases if was_applied(one)}


def current_release(state_directory: str) -> StackRelease | None:
    """Return what runs: of each project the newest release that was applied. None where nothing was."""
    parts = applied_parts(newest_releases(state_directory))
    return StackRelease(max(one["number"] for one in parts.values()), parts) if parts else None


def kept_release(releases: Sequence[StackRelease], number: int) -> StackRelease:
    """Return the release of this number; raises spec.SpecError, which names those that are kept."""
    for one in releases:
        if one.number == number:
            return one
    if not releases:
        raise spec.SpecError("no release is kept on this host: `./sse up` makes the first one")
    known = ", ".join(str(one.number) for one in releases)
    raise spec.SpecError(f"release {number} is not kept: expected one of {known}")


def actions_between(old: Mapping[str, Spec], new: Mapping[str, Spec]) -> list[Action]:
    """Return what leads from the containers of one release to those of another, without those that are the same."""
    actions = [Action("remove", name, ["no longer declared"]) for name in old if name not in new]
    for name, wanted in new.items():
        if name not in old:
            actions.append(Action("create", name, ["missing"]))
        elif reasons := spec.differences(old[name], wanted):
            actions.append(Action("replace", name, reasons))
    return actions
