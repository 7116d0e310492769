# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The process that holds the lock of a stack for a whole run, because the modules of a run are processes of their own.

It is started with the source of this file, so it imports nothing of the collection. The lock is a file that it has
inherited open; the kernel frees it when this process ends, however that happens.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

PAUSE = 0.2  # seconds between two looks at the controller's process
# Where the controller is another machine, the run counts as over when nothing of Ansible has run here for this time:
# longer than a controller works between two tasks, short enough to wait for.
LAPSE = 60.0
# What stands in the command lines of Ansible's processes on a host, with and without pipelining, and of its uploads.
SIGNS = (b"AnsiballZ", b"ansible-tmp", b"BECOME-SUCCESS", b"&& sleep 0", b"sftp-server")
WAITS = "sse-waits"  # what a process is called that waits for the lock: it is no work of the run that holds it


def started(pid: str) -> str:
    """Return when a process started, in clock ticks since the host's start; empty where there is none, or it ended.

    A process that ended stays as a zombie until its parent asks how (proc_pid_stat(5), the fields 3 and 22).
    """
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return ""
    return "" if state in "ZX" else others[18]


def is_active(since: int) -> bool:
    """Tell whether a process of Ansible works here that is not older than this."""
    parents: dict[str, str] = {}  # of each process
    waiting: list[str] = []
    active: set[str] = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            command = (path / "cmdline").read_bytes()
            name, __, others = (path / "stat").read_text().rpartition(")")
        except OSError:
            continue
        parents[path.name] = others.split()[1]
        if name.endswith(f"({WAITS}"):
            waiting.append(path.name)
        if any(sign in command for sign in SIGNS) and int(started(path.name) or 0) >= since:
            active.add(path.name)
    while waiting:  # the shells and sudo that started it wait with it
        pid = waiting.pop()
        active.discard(pid)
        if pid in parents:
            waiting.append(parents.pop(pid))
    return bool(active)


def main(watched: str) -> None:
    """Stay until the run is over.

    :param watched: the controller's process and its start, as in 123:456; empty where it is on another machine
    """
    pid, __, start = watched.partition(":")
    born = int(started("self"))
    last = time.monotonic()
    while started(pid) == start if watched else time.monotonic() - last < LAPSE:
        if not watched and is_active(born):
            last = time.monotonic()
        time.sleep(PAUSE if watched else PAUSE * 10)


if __name__ == "__main__":
    main(sys.argv[1])
