# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Names that no role has: some are misspelt, and some belong to others and only begin like ours."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

NEAR = 2  # at most so many edits lie between a misspelt name and the real one
SHORT = 5  # a prefix of fewer letters resembles too many words, such as app and api
OURS = ("alerts", "sse")  # prefixes of this platform that are the name of no role
FOREIGN_PREFIX = "If another program reads it, a pattern of it in stack_foreign_variables lets it pass"


def edits(left: str, right: str, limit: int = NEAR) -> int:
    """Return the Levenshtein distance, or limit + 1 as soon as it is known to be larger."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    row = list(range(len(right) + 1))
    for index, char in enumerate(left, 1):
        previous, row = row, [index]
        for column, other in enumerate(right, 1):
            row.append(min(row[-1] + 1, previous[column] + 1, previous[column - 1] + (char != other)))
        if min(row) > limit:
            return limit + 1
    return row[-1]


def unknown_names(
    names: Iterable[str], known: Iterable[str], prefixes: Iterable[str], ignored: Iterable[str] = ()
) -> tuple[list[str], list[str]]:
    """Split the unknown names into problems and warnings.

    A problem has a prefix of ours, or a real name is near. For a warning only its prefix is nearly one of ours.

    :param ignored: patterns of names that belong to somebody else
    """
    real, ours = sorted(known), {*prefixes, *OURS}
    problems: list[str] = []
    strangers: list[str] = []
    for name in sorted(set(names) - set(real)):
        if any(fnmatchcase(name, pattern) for pattern in ignored):
            continue
        distance, near = min((edits(name, other), other) for other in real)
        prefix = next((one for one in ours if name.startswith(f"{one}_")), "")
        if distance <= NEAR:
            problems.append(f"{name} is not a variable of this collection: did you mean {near}?")
        elif prefix:
            same = [other for other in real if other.startswith(f"{prefix}_")]
            nearest = difflib.get_close_matches(name, same or real, n=1, cutoff=0.0)[0]
            problems.append(f"{name} is not a variable of this collection: the nearest is {nearest}. {FOREIGN_PREFIX}")
        elif "_" in name and any(is_nearly(name.partition("_")[0], one) for one in ours):
            strangers.append(name)
    if not strangers:
        return problems, []
    return problems, [f"not variables of this collection, so they change nothing here: {', '.join(strangers)}"]


def is_nearly(prefix: str, ours: str) -> bool:
    """Tell whether a prefix looks like a misspelt one of ours; a short one resembles too many words."""
    return len(ours) >= SHORT and edits(prefix, ours) <= 1
