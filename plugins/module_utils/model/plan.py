# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The plan: a pure function from what should run and what runs to ordered actions, each with its reasons."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import (
    ASIDE,
    BY_HAND,
    INTERRUPTED,
    LEFTOVERS,
    UNRECORDED,
    Observed,
)

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.repair import Repair
    from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind, Release, Spec

# What may have been told to a container that has no fingerprint, where its spec is the wanted one.
WITHOUT_DIFFERENCE = {
    INTERRUPTED: "its last reload was interrupted",
    UNRECORDED: "the record of its last reload is gone, so it reads its files again",
}


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


def settling(observed: list[Observed], release: Release, made: Mapping[str, Collection[str]]) -> list[Action]:
    """Undo what a killed run left, and what somebody renamed: each container gets its name again.

    A half-made container goes. An old one comes back if nothing took its place.

    :param made: the ids of the containers that runs made, by name, where they are known
    """
    ours = [one for one in observed if one.belongs(release["stack"], release["project"])]
    taken = {one.name: one for one in observed}
    actions: list[Action] = []
    away: list[tuple[Observed, str]] = []  # containers that have another name than their own
    for one in sorted(ours, key=lambda one: not one.name.endswith(ASIDE)):
        suffix = next((suffix for suffix in LEFTOVERS if one.name.endswith(suffix)), "")
        name = one.name[: -len(suffix)] if suffix else ""
        home = f"{release['stack']}-{one.label('container')}"
        if home != name and one.id in made.get(home, ()):
            suffix = ""  # somebody gave it a name that looks like one of those
        if suffix and name not in taken and (suffix == ASIDE or one.id in made.get(name, ())):
            why = "an interrupted run left it aside" if suffix == ASIDE else f"is called {one.name}"
            actions.append(Action("restore", name, [why], one.id))
            taken[name] = one
        elif suffix:
            actions.append(Action("clear", one.name, ["left by an interrupted run"], one.id))
        elif home != one.name and home in release["containers"] and one.id in made.get(home, (one.id,)):
            away.append((one, home))
    return [*actions, *ways_home(away, taken, made)]


def ways_home(
    away: list[tuple[Observed, str]], taken: dict[str, Observed], made: Mapping[str, Collection[str]]
) -> Iterator[Action]:
    """Rename containers back, one after the other; the engine does that while they run.

    :param away: each with its own name
    :param taken: by name, who has it
    """
    waiting = {home: (one, one.name) for one, home in away}  # by its own name: the container, and what it is called
    ours = {one.id for one, __ in away}
    known = {id_ for ids in made.values() for id_ in ids}
    for home in [home for home in waiting if home in taken and taken[home].id not in ours]:
        other = taken[home]
        if made.get(home) and other.id not in known and other.label("spec") and same_home(other, waiting[home][0]):
            yield Action("clear", home, ["was made by hand, in place of the one that a run made"], other.id)
            del taken[home]
        else:
            del waiting[home]  # somebody else has its name, and the plan says so
    stuck = set[str]()
    while len(stuck) < len(waiting):
        home = next(home for home in waiting if home not in stuck)
        one, called = waiting[home]
        if home in taken and f"{home}{ASIDE}" not in taken and in_circle(home, waiting, taken):
            aside = f"{home}{ASIDE}"  # where this run is killed, the next one knows what that is
            yield Action("rename", aside, [f"is called {called}"], one.id)
            del taken[called]
            waiting[home], taken[aside] = (one, aside), one
        elif home in taken:
            stuck.add(home)
            continue
        else:
            yield Action("rename", home, [f"is called {called}"], one.id)
            del waiting[home], taken[called]
            taken[home] = one
        stuck.clear()


def same_home(one: Observed, other: Observed) -> bool:
    """Tell whether two containers have the labels of the same container."""
    return all(one.label(key) == other.label(key) for key in ("stack", "project", "container"))


def in_circle(home: str, waiting: Mapping[str, tuple[Observed, str]], taken: Mapping[str, Observed]) -> bool:
    """Tell whether containers have each other's names, beginning with the one that has this name."""
    homes = {one.id: name for name, (one, __) in waiting.items()}
    seen, now = {home}, homes.get(taken[home].id)
    while now and now in taken and now not in seen:
        seen.add(now)
        now = homes.get(taken[now].id)
    return now == home


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
    return [WITHOUT_DIFFERENCE.get(running.label("spec"), "its labels do not match its release")]


def can_reload(running: Observed, wanted: Spec, made_from: Spec | None) -> bool:
    """Tell whether a container that differs can go on running and read its files anew."""
    works = running.status == "running" and running.health != "unhealthy" and running.label("spec") != BY_HAND
    return works and made_from is not None and spec.reloads(made_from, wanted)
