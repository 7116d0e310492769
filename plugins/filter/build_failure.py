# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What matters of a failed image build."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import cast

from ansible_collections.sse.platform.plugins.module_utils.model.password import without_password

# Lines of a build's log to show: enough for a compiler's error, few enough to read.
SHOWN_LINES = 15
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
TROUBLE = re.compile(r"error|fatal|fail|denied|not found|cannot|could not|unable|no space|^E:", re.IGNORECASE)


def build_failure(message: str) -> str:
    """Shorten the message of community.docker on a failed build: the command, and its lines that tell of trouble.

    A program may name a proxy or an index with its password, which is left out.
    """
    return without_password(_shortened(message))


def _shortened(message: str) -> str:
    head, __, listed = message.partition(", logs: ")
    try:
        log: object = ast.literal_eval(listed)
    except (SyntaxError, ValueError):
        return message
    if not isinstance(log, list):
        return message
    text = ESCAPE.sub("", "\n".join(str(part) for part in cast("list[object]", log)))
    __, __, last = text.rpartition("---> Running in ")
    lines = [line.rstrip() for line in last.splitlines()[1:] if line.strip()]
    trouble = [line for line in lines if TROUBLE.search(line)] or lines
    return "\n".join([head, *trouble[:SHOWN_LINES]])


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """Return the filter by name."""
        return {"build_failure": build_failure}
