# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Why a program failed, by what it wrote: the line that says it, not all the others."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

# How programs mark the line that says why: by its level, or as the class of an exception.
MARK = re.compile(r"\b(?i:emerg|alert|crit|critical|fatal|error|failed|panic)\b|\w(?:Error|Exception)\b")
LONGEST = 300  # characters of a line that is quoted


def cause(output: str) -> str:
    """Return the line of a program's output that says why it failed: the first that is marked as an error.

    A line that ends with a colon is followed by what it is about.
    """
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    if not lines:
        return "its program says nothing"
    at = marked(lines) or 0
    follows = lines[at + 1 : at + 2] if lines[at].endswith(":") else []
    return " ".join([lines[at], *follows])


def marked(lines: Sequence[str]) -> int | None:
    """Return which line is the first that is marked as an error; None where no line is."""
    return next((index for index, line in enumerate(lines) if MARK.search(line)), None)


def telling(lines: Sequence[str], most: int) -> list[str]:
    """Return the lines of a log that say why its program ended, the telling one first.

    Without a marked line these are the last ones: a program that ends says why at its end.

    :param most: how many lines at most
    """
    written = [line.strip()[:LONGEST] for line in lines if line.strip()]
    at = marked(written)
    return written[-1:] if at is None else written[at : at + most]
