# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the kernel tells in files (proc(5), sysfs(5))."""

from __future__ import annotations

from pathlib import Path


def read(path: str | Path) -> str:
    """Return the text of a file; empty where it can't be read, such as of a process that ended."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""
