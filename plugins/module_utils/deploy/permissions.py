# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The permissions of a stack's state directory, as its newest releases need them: compared, and put right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec

SHOWN = 3  # lines; a stack of an earlier version differs in dozens of places, all of one kind


def containers(state_directory: str, coming: Iterable[Release] = ()) -> dict[str, Spec]:
    """Return the containers that run, and those of the coming releases that do not run yet."""
    try:
        running = containers_of(newest_releases(state_directory))
    except SpecError:
        running = {}  # another version of this collection wrote them
    return {**containers_of(coming), **running}


def differences(state_directory: str, coming: Iterable[Release] = ()) -> list[tuple[Path, str]]:
    """Return everything whose permissions differ, and how."""
    return list(state_modes.differences(Path(state_directory), containers(state_directory, coming)))


def ensure(state_directory: str, coming: Iterable[Release] = (), *, check: bool = False) -> list[str]:
    """Put the permissions right; return what differed, a few lines.

    :param coming: releases that are about to run
    :param check: only compare
    """
    coming = list(coming)
    found = [f"permissions {path}: {how}" for path, how in differences(state_directory, coming)]
    if found and not check:
        state_modes.enforce(Path(state_directory), containers(state_directory, coming))
    more = len(found) - SHOWN
    return [*found[:SHOWN], f"permissions: {more} more below {state_directory}"] if more > 0 else found
