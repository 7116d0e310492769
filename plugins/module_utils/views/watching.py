# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Show the state of a stack again and again, until nobody wants to know it any more."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.host.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NOT_WATCHED = "This host cannot be watched: {why}. This is how it is now; repeat ./sse status instead."


def watch(
    options: Mapping[str, Any], look: Callable[[], Mapping[str, Any]], warn: Callable[[str], None], pause: float
) -> None:
    """Tell what is seen until nobody reads it any more; say why where nobody can.

    :param options: of a module that the action `telling` runs: progress and watcher
    :param pause: seconds between two looks
    """
    if not options["progress"]:
        warn(NOT_WATCHED.format(why="that takes SSH or this machine, and the screen of sse"))
        return
    progress, begun, process = Progress(options["progress"]), time.monotonic(), options["watcher"]
    while not progress.gone(time.monotonic() - begun) and (not process or alive(process)):
        progress.tell(status=look())
        time.sleep(pause)
    if progress.descriptor is None:
        warn(NOT_WATCHED.format(why="the way to tell what changes there did not come about within 20 s"))


def alive(process: int) -> bool:
    """Tell whether a process of this host runs."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True
