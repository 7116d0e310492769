# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The throwaway stack of a drill. A file in its state directory marks it: no other stack is ever removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import removal, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.run_lock import LockedError
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import FirewallError
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.state_modes import STATE

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "drill"
PARALLEL = 4


class DrillError(RuntimeError):
    """The stack of the drill cannot be made or removed; the message says why."""


EXPECTED = (ApplyError, DrillError, FirewallError, LockedError)


def mark(state: Path) -> None:
    """Say that the stack of this state directory is one of a drill."""
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(STATE)
    write_file(state / MARK, "./sse backup --drill made this stack, and the next drill removes what is left of it.\n")


def remove(stack: str, state_directory: str, run: Mapping[str, Any], wait: float = 0) -> None:
    """Remove the stack of a drill with everything that belongs to it, where there is one.

    :param wait: for how many seconds to wait for another drill, which removes its stack itself
    :raises DrillError: there is a stack of this name that no drill made
    :raises LockedError: another drill runs
    """
    run_lock.wait(state_directory, run, wait)
    try:
        found = removal.tear_down(stack, state_directory, PARALLEL, delete_data=True, check=True)
    except removal.NoStackError:
        return
    if not (Path(state_directory) / MARK).is_file():
        there = ", ".join([*found.containers, *found.networks]) or state_directory
        raise DrillError(
            f"A drill uses the name {stack} for its throwaway stack, and there is something of this name that no drill "
            f"made: {there}. Nothing was changed. Remove it, if it is not needed, with "
            f"./sse destroy -e stack_name={stack} -e stack_state_directory={state_directory}"
        )
    removal.tear_down(stack, state_directory, PARALLEL, delete_data=True, check=False, run=run)
