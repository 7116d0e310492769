# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Names that no role has: some are misspelt, and some belong to others and only begin like ours."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

NEAR = 2  # at most so many edits lie between a misspelt name and the real one


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
    """Split the unknown names into problems (a real name is near) and warnings (only the prefix is ours).

    :param ignored: patterns of names that belong to somebody else
    """
    real = sorted(known)
    starts = tuple(f"{prefix}_" for prefix in prefixes)
    problems: list[str] = []
    strangers: list[str] = []
    for name in sorted(set(names) - set(real)):
        if any(fnmatchcase(name, pattern) for pattern in ignored):
            continue
        distance, near = min((edits(name, other), other) for other in real)
        if distance <= NEAR:
            problems.append(f"{name} is not a variable of this collection: did you mean {near}?")
        elif name.startswith(starts):
            strangers.append(name)
    if not strangers:
        return problems, []
    return problems, [f"not variables of this collection, so they change nothing here: {', '.join(strangers)}"]
