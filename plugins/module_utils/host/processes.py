# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The processes below another one, as the kernel shows them (proc(5))."""

from __future__ import annotations

import os
import signal
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read

TICKS = 100  # a second, in the times that /proc gives to programs (USER_HZ)


class Process(NamedTuple):
    """One process."""

    pid: int
    started: int  # ticks since the machine started
    title: str  # what it calls itself: its command line
    memory: int  # bytes that it has in memory


def below(pid: int) -> list[Process]:
    """List the processes that a process started, directly or not; those that end meanwhile are left out."""
    found: list[Process] = []
    queue = [pid]
    while queue:
        parent = queue.pop()
        for child in map(int, read(f"/proc/{parent}/task/{parent}/children").split()):
            queue.append(child)
            title = read(f"/proc/{child}/cmdline").replace("\0", " ").strip()
            fields = read(f"/proc/{child}/stat").rpartition(")")[2].split()
            pages = read(f"/proc/{child}/statm").split()
            if title and pages and len(fields) > 19:
                memory = int(pages[1]) * os.sysconf("SC_PAGESIZE")
                found.append(Process(child, int(fields[19]), title, memory))
    return found


def handles(pid: int, name: str) -> bool:
    """Tell whether a process has a handler of its own for a signal."""
    line = next((one for one in read(f"/proc/{pid}/status").splitlines() if one.startswith("SigCgt:")), "SigCgt: 0")
    return bool(int(line.split()[1], 16) >> (signal.Signals[name] - 1) & 1)


def generations(processes: list[Process], seconds: float) -> list[list[Process]]:
    """Group processes that started within so many seconds of the first of their group, the oldest first."""
    groups: list[list[Process]] = []
    for one in sorted(processes, key=lambda process: process.started):
        if groups and one.started - groups[-1][0].started <= seconds * TICKS:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
