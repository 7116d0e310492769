# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How a plan is written for people, who read it at a glance.

+ sse-kafka (new)                          this container is created
~ sse-nginx: memory: 64 -> 128             this one is replaced
- sse-old: no longer declared              this one is removed
> restart sse-redis: is unhealthy          this one stays, and something is done to it
> reload sse-nginx: config: content        this one reads its files anew, and no connection ends
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.types import ActionKind, Spec

SIGNS: dict[ActionKind, str] = {"create": "+", "replace": "~", "remove": "-", "clear": "-"}


def heading(action: Action) -> str:
    """Write an action without its reasons."""
    return f"{SIGNS.get(action.kind, f'> {action.kind}')} {action.container}"


def line(action: Action) -> str:
    """Write an action on one line."""
    if action.kind == "create":
        return f"{heading(action)} (new)"
    return heading(action) + (f": {'; '.join(action.reasons)}" if action.reasons else "")


def row(action: Action, short: str | None) -> tuple[str, str, str]:
    """Return the name of the container for people, the kind of the action, and its line, for a screen that is live."""
    name = short or action.container
    return name, action.kind, line(action._replace(container=name))


def diff(actions: Iterable[Action], made_from: Mapping[str, Spec], containers: Mapping[str, Spec]) -> str:
    """Write a plan with all details: each action, its reasons, and the changed lines of its config files.

    :param made_from: the spec that each running container was made from, where it is known
    :param containers: the specs of the new release
    """
    lines: list[str] = []
    for action in actions:
        if action.kind == "create":
            lines.append(line(action))
        elif action.changes:
            lines += [heading(action), *(f"    {reason}" for reason in action.reasons)]
        if action.kind in {"replace", "reload"} and (old := made_from.get(action.container)):
            changed = config_diff(old["config"], containers[action.container]["config"])
            lines += [f"    {one}" for one in changed]
    return "".join(f"{one}\n" for one in lines)


def config_diff(old: dict[str, dict[str, str]], new: dict[str, dict[str, str]]) -> list[str]:
    """Return the changed lines of config files. They hold no secrets: config refers to those by path."""
    paths = sorted({(directory, file) for side in (old, new) for directory in side for file in side[directory]})
    lines: list[str] = []
    for directory, file in paths:
        before = old.get(directory, {}).get(file, "").splitlines()
        after = new.get(directory, {}).get(file, "").splitlines()
        name = f"{directory}/{file}"
        lines += difflib.unified_diff(before, after, name, name, lineterm="", n=1)
    return lines
