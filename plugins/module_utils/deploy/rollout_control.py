# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Pause, resume and abort a rollout: the run looks at a file between two steps, and a FIFO wakes one that waits.

The file names the run that it is about, so one that a killed run left stops nobody.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE, WAKE = "rollout.json", "rollout.wake"
# Verbs that hold the lock and have no steps between which they could wait.
STILL = ("backup", "restore", "reload", "destroy", "bundle")
LOOK_SECONDS = 60.0  # after which a run that waits looks by itself, in case that nobody could wake it
State = Literal["paused", "resumed", "aborted"]


class AbortedError(ApplyError):
    """An operator aborted the rollout."""


class ControlError(RuntimeError):
    """There is no rollout to pause, to resume or to abort; the message says what there is."""


class Order(TypedDict):
    """What an operator wants of the run that holds the lock. The file holds this as JSON."""

    state: State
    who: str
    since: str
    why: str
    controller: str  # these two name the run, as in its claim of the lock
    process: str


def order(state_directory: str, run: Mapping[str, Any]) -> Order | None:
    """Return what is wanted of a run; None where nothing is, or where the file is about another run."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        found: Any = json.loads((Path(state_directory) / FILE).read_text())
        if all(found[key] == str(run.get(key, "")) for key in ("controller", "process")):
            return cast("Order", found)
    return None


def give(state_directory: str, state: State, run: Mapping[str, Any], *, check: bool = False) -> Order:
    """Tell the run that changes the stack what to do; return what it is told, or, in check mode, would be told.

    :param run: who asks, since when and why, as `RunMeta` has it
    :raises ControlError: no rollout runs, or it is aborted already
    """
    claim = run_lock.holder_of(state_directory)
    back = " `./sse rollback` goes back from a release that was applied." if state == "aborted" else ""
    if claim is None:
        raise ControlError(f"No rollout runs now, so there is nothing to do.{back}")
    verb = claim["asked"].partition(" ")[0]
    if verb in STILL:
        raise ControlError(f"./sse {verb} changes the stack now, and it has no rollout: it can't be paused or aborted.")
    if claim["over"]:
        raise ControlError(f"The rollout is over, and {run_lock.named(claim)} only verifies what runs now.{back}")
    told = order(state_directory, claim)
    if told and (told["state"] == "aborted" or told["state"] == state):
        return told
    if state == "resumed" and told is None:
        raise ControlError("The rollout is not paused, so there is nothing to resume.")
    wanted: Order = {
        "state": state,
        "who": f"{run.get('who', '')}@{run.get('where', '')}".strip("@"),
        "since": str(run.get("when", "")),
        "why": str(run.get("why", "")),
        "controller": claim["controller"],
        "process": claim["process"],
    }
    if check:
        return wanted
    write_file(Path(state_directory) / FILE, json.dumps(wanted), durable=True)
    wake(state_directory)
    return wanted


def wake(state_directory: str) -> None:
    """Wake the run that waits, if one does."""
    with contextlib.suppress(OSError):  # nobody reads
        descriptor = os.open(Path(state_directory) / WAKE, os.O_WRONLY | os.O_NONBLOCK)
        try:
            os.write(descriptor, b"\n")
        finally:
            os.close(descriptor)


def told(found: Order) -> str:
    """Say what an operator wants, on one line."""
    why = f" ({found['why']})" if found["why"] else ""
    return f"{found['state']} by {found['who'] or 'somebody'} since {found['since']}{why}"


def lines(state_directory: str) -> list[str]:
    """Return a line about a rollout that is paused."""
    claim = run_lock.holder_of(state_directory)
    found = order(state_directory, claim) if claim else None
    if not found or found["state"] != "paused":
        return []
    return [f"THE ROLLOUT IS PAUSED, {told(found)}: `./sse resume rollout` lets it go on, `./sse abort` ends it"]


class Control:
    """What a run asks between two steps."""

    def __init__(self, state_directory: str, run: Mapping[str, Any]) -> None:
        """Look at what is wanted of a run.

        :param run: what it says of itself, for the lock
        """
        self.state_directory = state_directory
        self.run = run
        self.aborted = False

    def gate(self) -> None:
        """Go on, or wait while the rollout is paused.

        :raises AbortedError: the rollout is aborted
        """
        found = order(self.state_directory, self.run)
        if found and found["state"] == "paused":
            found = self.wait()
        if found and found["state"] == "aborted":
            self.aborted = True
            raise AbortedError(f"The rollout was {told(found)}.")

    def wait(self) -> Order | None:
        """Wait until the order is another one; return that."""
        path = Path(self.state_directory) / WAKE
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)  # open for writing, too: so it never ends
        try:
            while (found := order(self.state_directory, self.run)) and found["state"] == "paused":
                if select.select([descriptor], [], [], LOOK_SECONDS)[0]:
                    os.read(descriptor, 4096)
            return found
        finally:
            os.close(descriptor)
