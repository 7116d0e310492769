# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The names of trials: containers that only check new files, and directories of such files. A plan makes them, too."""

from __future__ import annotations

import os

from ansible_collections.sse.platform.plugins.module_utils.deploy.lock_holder import started


def trial_name(name: str) -> str:
    """Return the name of this run's trial of a container; whose name it is in, is known by process and start."""
    return f"{name}-{os.getpid()}-{started('self')}"


def goes_on(name: str) -> bool:
    """Tell whether the run still runs that made a trial of this name."""
    pid, start = ["", *name.split("-")][-2:]
    return bool(start) and pid.isdigit() and started(pid) == start
