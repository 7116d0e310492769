# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The history of a stack for people: every run, what it did and how it ended."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.views.releases import columns, minute

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Attempt

NOTHING = "no run is in the history: `./sse up` makes the first entry"
SHOWN = 50  # runs: as many as people scroll through
NAMED = 4  # containers; more are counted


def table(attempts: Sequence[Attempt]) -> list[str]:
    """Return the newest runs, oldest first: one line each, and below it why, the variables of -e, and the error."""
    if not attempts:
        return [NOTHING]
    newest = attempts[-SHOWN:]
    rows = [("WHEN (UTC)", "WHO", "FROM", "VERB", "RELEASE", "TOOK", "OUTCOME", "WHAT CHANGED")]
    rows += [row(one) for one in newest]
    heading, *lines = columns(rows)
    shown = [heading]
    for one, line in zip(newest, lines, strict=True):
        shown += [line, *below(one)]
    return shown


def row(one: Attempt) -> tuple[str, ...]:
    """Write one run."""
    moved = f"{one['before']} -> {one['after']}" if one["before"] != one["after"] else str(one["after"] or "-")
    took = f"{one['seconds']:g} s" if one["outcome"] in {"applied", "failed"} else ""
    return (minute(one["when"]), one["who"], one["where"], one["asked"], moved, took, one["outcome"], changes(one))


def changes(one: Attempt) -> str:
    """Sum up what a run did, by kind."""
    by_kind: dict[str, list[str]] = {}
    for change in one["changes"]:
        by_kind.setdefault(change["kind"], []).append(change["container"])
    done = [
        f"{kind} {', '.join(names) if len(names) <= NAMED else f'{len(names)} containers'}"
        for kind, names in by_kind.items()
    ]
    return "; ".join([*done, *one["others"]]) or ("" if one["outcome"] in {"running", "interrupted"} else "nothing")


def below(one: Attempt) -> list[str]:
    """Write what stands below the line of a run."""
    given = " ".join(
        f"{name}=..." if value is None else f"{name}={value if isinstance(value, str) else json.dumps(value)}"
        for name, value in one["given"].items()
    )
    texts = [("why", one["why"]), ("-e", given), ("error", one["error"])]
    return [f"    {what}: {text}" if what != "-e" else f"    -e {text}" for what, text in texts if text]
