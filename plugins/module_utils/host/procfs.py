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


def parent(pid: int) -> int:
    """Return the id of the process that started another one; 0 where there is none, or it is hidden (hidepid)."""
    fields = read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if len(fields) > 1 else 0
