# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A plan for people: each step with its reasons, how long it took before, whose streams it ends, and the order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.plan_text import SIGNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind, Json, Release, Spec

NOTHING = "nothing to change: what runs is as it is declared"
NOTHING_CHOSEN = "nothing to change: the tags choose no container"
# How changes begin that are not about a container.
AROUND = ("~ firewall ", "~ network ", "~ host ", "~ permissions", "~ secret ", "!")
ENDING = ("replace", "restart", "remove")  # these end the streams of a container
ONE_BY_ONE = ("replace", "restart")  # replicas are never missing together


def lines(releases: Sequence[Release], result: Json, images: Sequence[str], networks: Sequence[str]) -> list[str]:
    """Write the plan.

    :param releases: what is declared
    :param result: what the stack module returned in check mode; skipped, where tags choose no container
    :param images: references of the images to get
    :param networks: names of the networks to make
    """
    if result.get("skipped"):
        before = [*(f"+ image {one}" for one in images), *(f"+ network {one}" for one in networks)]
        return before or [NOTHING_CHOSEN]
    actions = {one["container"]: one["kind"] for outcome in result["outcomes"] for one in outcome["actions"]}
    notes = {f"{sign(kind)} {name}": about(name, kind, result) for name, kind in actions.items()}
    steps = [with_note(line, notes) for line in result["diff"]["prepared"].splitlines()]
    around = [one for one in result["changes"] if one.startswith(AROUND)]
    before = [*(f"+ image {one}" for one in images), *(f"+ network {one}" for one in networks), *around]
    paused: list[str] = result.get("paused", [])
    if not (before or steps):
        return [*paused, NOTHING]
    return [*paused, *before, *steps, *closing(waves(releases, actions), actions, result)]


def sign(kind: ActionKind) -> str:
    """Return how a line of a plan begins."""
    return SIGNS.get(kind, f"> {kind}")


def about(name: str, kind: ActionKind, result: Json) -> str:
    """Say what is known of a step: its seconds by experience, and the streams that it ends."""
    known = [f"about {seconds:g} s"] if (seconds := result["experience"].get(f"{kind} {name}")) else []
    count = result["streams"].get(name) if kind in ENDING else None
    return ", ".join(known if count is None else [*known, f"ends {count} streams"])


def with_note(line: str, notes: Mapping[str, str]) -> str:
    """Add what is known of a step to its first line."""
    note = notes.get(line.removesuffix(" (new)"), "")
    return f"{line}  [{note}]" if note else line


def waves(releases: Sequence[Release], actions: Mapping[str, ActionKind]) -> list[list[str]]:
    """Return the containers that change, in the order in which they can: each group after the one before it."""
    specs = {name: one for release in releases for name, one in release["containers"].items()}
    left = {name: after(name, specs, actions) for name in actions}
    found: list[list[str]] = []
    while left:
        ready = [name for name, needed in left.items() if not needed & left.keys()]
        ready = ready or list(left)  # a release without cycles never comes here
        found.append(ready)
        left = {name: needed for name, needed in left.items() if name not in ready}
    return found


def after(name: str, specs: Mapping[str, Spec], actions: Mapping[str, ActionKind]) -> set[str]:
    """Return which of the containers that change one waits for."""
    if name not in specs:
        return set()  # one that is removed goes first
    one = specs[name]
    removed = {other for other in actions if other not in specs}
    row = [other for other in specs if other in actions and specs[other]["service"] == one["service"]]
    earlier = row[: row.index(name)] if one["rolling"] and actions[name] in ONE_BY_ONE else []
    return {*(other for other in one["after"] if other in actions), *earlier[-1:], *removed}


def closing(groups: list[list[str]], actions: Mapping[str, ActionKind], result: Json) -> list[str]:
    """Sum up: the order, the seconds, and the streams that end."""
    experience: Mapping[str, float] = result["experience"]
    took = {name: experience.get(f"{kind} {name}") for name, kind in actions.items()}
    total = sum(max((took[name] or 0 for name in group), default=0) for group in groups)
    unknown = sum(seconds is None for seconds in took.values())
    ended = sum(result["streams"].get(name, 0) for name, kind in actions.items() if kind in ENDING)
    found = [""]
    if len(groups) > 1:
        found.append(f"order: {'; then '.join(', '.join(group) for group in groups)}")
    if total:
        rest = f"; {unknown} of {len(took)} steps were never done here" if unknown else ""
        found.append(f"time: about {total:.0f} s by experience{rest}")
    if result["streams"]:
        found.append(f"streams that end, each after a bye: {ended}")
    return found if len(found) > 1 else []
