# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The plan: a pure function from what should run and what runs to ordered actions, each with its reasons."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import (
    BY_HAND,
    INTERRUPTED,
    LEFTOVERS,
    Observed,
)

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.repair import Repair
    from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind, Release, Spec


class Action(NamedTuple):
    """One step from what runs to what should run."""

    kind: ActionKind
    container: str
    reasons: list[str]
    id: str = ""  # the observed container that the action is about
    health: str = ""  # its health, where the engine runs its check
    repairs: tuple[Repair, ...] = ()  # what is mended at the container before the rest of the action

    @property
    def changes(self) -> bool:
        """Tell whether the action changes anything."""
        return self.kind != "keep"


class ForeignContainerError(ValueError):
    """Somebody else's container has a name that the stack needs."""


def leftovers(observed: list[Observed], stack: str, project: str) -> list[Action]:
    """Undo what a killed run left: a half-made container goes; an old one comes back if nothing took its place."""
    ours = [one for one in observed if one.belongs(stack, project)]
    taken = {one.name for one in observed}
    actions: list[Action] = []
    for one in ours:
        suffix = next((suffix for suffix in LEFTOVERS if one.name.endswith(suffix)), "")
        if not suffix:
            continue
        name = one.name[: -len(suffix)]
        if suffix == "-previous" and name not in taken:
            actions.append(Action("restore", name, ["an interrupted run left it aside"], one.id))
        else:
            actions.append(Action("clear", one.name, ["left by an interrupted run"], one.id))
    return actions


def plan(release: Release, made_from: Mapping[str, Spec], observed: list[Observed]) -> list[Action]:
    """Compare spec with spec, by the labels that each running container has.

    :param release: the new release
    :param made_from: the spec that each running container was made from, by name, where the host still has it
    :param observed: what runs, after the leftovers of interrupted runs were cleared
    :raises ForeignContainerError: where somebody else's container has one of our names
    """
    by_name = {one.name: one for one in observed}
    actions: list[Action] = []
    for one in observed:
        if one.belongs(release["stack"], release["project"]) and one.name not in release["containers"]:
            actions.append(Action("remove", one.name, ["no longer declared"], one.id))
    for name, wanted in release["containers"].items():
        running = by_name.get(name)
        if running is None:
            actions.append(Action("create", name, ["missing"]))
            continue
        if not running.belongs(release["stack"], release["project"]):
            raise ForeignContainerError(
                f"container {name} exists and is not of stack {release['stack']!r} (project {release['project']!r}); "
                "nothing was done to it. Remove or rename it, or choose another stack_name"
            )
        reasons = reasons_to_replace(running, wanted, made_from.get(name))
        if reasons:
            kind = "reload" if can_reload(running, wanted, made_from.get(name)) else "replace"
            actions.append(Action(kind, name, reasons, running.id))
        elif running.status == "restarting":
            actions.append(Action("restart", name, ["restarts again and again"], running.id))
        elif running.status != "running":
            actions.append(Action("start", name, [f"is {running.status}"], running.id))
        elif running.health == "unhealthy":
            actions.append(Action("restart", name, ["is unhealthy"], running.id))
        else:
            actions.append(Action("keep", name, [], running.id, running.health))
    return actions


def reasons_to_replace(running: Observed, wanted: Spec, made_from: Spec | None) -> list[str]:
    """Say why a container must be replaced; no reason means that it is as it should be."""
    if running.label("spec") == spec.fingerprint(wanted):
        return []
    if running.label("spec") == BY_HAND:
        return ["was made by hand, with the labels of the one that a run made"]
    if made_from is None:
        return [f"its release {running.release} is no longer on the host, so it can't be compared"]
    if found := spec.differences(made_from, wanted):
        return found
    return [
        "its last reload was interrupted"
        if running.label("spec") == INTERRUPTED
        else "its labels do not match its release"
    ]


def can_reload(running: Observed, wanted: Spec, made_from: Spec | None) -> bool:
    """Tell whether a container that differs can go on running and read its files anew."""
    works = running.status == "running" and running.health != "unhealthy" and running.label("spec") != BY_HAND
    return works and made_from is not None and spec.reloads(made_from, wanted)
