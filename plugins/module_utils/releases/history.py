# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The history: a log of every run that may have changed a stack, beside its releases.

A run writes a line when it begins and one when it ends. A run that was killed wrote no second line, so whoever reads
the log finds that it was interrupted.
"""

from __future__ import annotations

import json
import os
import time
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import stack_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Attempt, AttemptChange, RunMeta

FILE = "history.jsonl"
LONGEST = 2**20  # bytes of the file, after which only the newest runs are kept
KEPT = 200  # runs
WHOLE = ("up", "scale", "restore", "node add")  # verbs that make the whole stack what the settings say
NOBODY: RunMeta = {"asked": "", "who": "", "where": "", "when": "", "commit": "", "why": "", "given": {}}
# What a line leaves out that a version before this one wrote.
OLD: Attempt = {
    **NOBODY,
    "run": "",
    "before": 0,
    "after": 0,
    "changes": [],
    "others": [],
    "seconds": 0.0,
    "outcome": "interrupted",
    "error": "",
}
OLD_CHANGE: AttemptChange = {"container": "", "kind": "mend", "reasons": [], "seconds": 0.0}


def started(pid: int) -> str:
    """Return when a process started, in clock ticks since the host's start; '' where there is no such process."""
    return next(iter(read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19:20]), "")


def this_process() -> str:
    """Name this process so that no later one has the same name."""
    return f"{os.getpid()}:{started(os.getpid())}"


def runs(process: str) -> bool:
    """Tell whether a process that `this_process` named still runs."""
    pid, __, start = process.partition(":")
    return bool(start) and pid.isdigit() and started(int(pid)) == start


def attempts(state_directory: str) -> list[Attempt]:
    """Return every run that the log holds, oldest first. A damaged line, which a power cut can leave, is left out."""
    found: dict[str, Attempt] = {}
    path = Path(state_directory) / FILE
    for line in path.read_text(errors="replace").splitlines() if path.is_file() else ():
        try:
            one = cast("Attempt", {**OLD, **json.loads(line)})
            one["changes"] = [cast("AttemptChange", {**OLD_CHANGE, **change}) for change in one["changes"]]
            if one["run"]:
                found[one["run"]] = one
        except (ValueError, TypeError):
            continue
    for one in found.values():
        if one["outcome"] == "running" and not runs(one["run"].partition("@")[0]):
            one["outcome"] = "interrupted"
    return list(found.values())


def last_given(state_directory: str) -> dict[str, Any]:
    """Return what the release that runs now was given for one run alone, by the runs that led to it.

    A run for some services alone, such as `./sse dashboard` or `--tags nginx`, counts for the settings that concern
    these. A rollback brings back what its release had been given.

    A run whose verification failed has applied its release, and one that was killed may have.
    """
    runs = attempts(state_directory)
    now: dict[str, Any] = {}
    had: dict[int, dict[str, Any]] = {}  # by release
    for one, later in zip_longest(runs, runs[1:]):
        after = one["after"]
        if one["outcome"] == "interrupted":  # its line was written before it did anything
            after = later["before"] if later else stack_number(state_directory)
        if one["outcome"] != "applied" and after == one["before"]:
            continue
        if back := one.get("back_to"):
            now = had.get(back, {})
        elif "concerned" in one:
            left = {name: value for name, value in now.items() if name not in one["concerned"]}
            now = left | {name: value for name, value in one["given"].items() if name in one["concerned"]}
        elif f"{one['asked']} ".startswith(tuple(f"{verb} " for verb in WHOLE)):
            now = one["given"]
        had[after] = now
    return now


def experience(runs: Iterable[Attempt]) -> dict[str, float]:
    """Return how many seconds each step took when it was done last, by its kind and its container."""
    return {
        f"{change['kind']} {change['container']}": change["seconds"]
        for one in runs
        if one["outcome"] == "applied"
        for change in one["changes"]
        if change["seconds"]
    }


def run_meta(given: dict[str, Any]) -> RunMeta:
    """Return who asked for a run; what is not given is empty."""
    known = {key: value for key, value in given.items() if key in {*NOBODY, "concerned", "back_to"}}
    return cast("RunMeta", {**NOBODY, "when": moment.text(), **known})


class Recorder:
    """Writes one run into the history."""

    def __init__(self, state_directory: str, meta: RunMeta, before: int, begun: Attempt | None = None) -> None:
        """Write that the run begins.

        :param before: the release of the stack that runs now; 0 for none
        :param begun: where it has begun before, as that part of it returned it
        """
        self.state_directory = state_directory
        self.path = Path(state_directory) / FILE
        self.begun = time.monotonic()
        if begun:
            self.begun -= begun["seconds"]
            self.attempt: Attempt = begun
            return
        self.attempt = {
            "run": f"{this_process()}@{time.time_ns()}",
            **meta,
            "before": before,
            "after": before,
            "changes": [],
            "others": [],
            "seconds": 0.0,
            "outcome": "running",
            "error": "",
        }
        self.append()

    def end(
        self, after: int, changes: list[AttemptChange], others: list[str], error: str = "", *, whole: bool = True
    ) -> None:
        """Write how the run ended.

        :param after: the release of the stack that runs now
        :param others: changes that are not about one container
        :param error: why it failed; empty where it did not
        :param whole: false for a part of it that another one follows
        """
        self.attempt = {
            **self.attempt,
            "after": after,
            "changes": self.attempt["changes"] + changes,
            "others": self.attempt["others"] + others,
            "seconds": round(time.monotonic() - self.begun, 1),
            "outcome": "failed" if error else "applied" if whole else "running",
            "error": next(iter(error.strip().splitlines()), ""),
        }
        self.append()
        if self.path.stat().st_size > LONGEST:
            newest = attempts(self.state_directory)[-KEPT:]
            write_file(self.path, "".join(f"{json.dumps(one)}\n" for one in newest), durable=True)

    def append(self) -> None:
        """Add a line and have it on the disk before anything else happens (fsync(2))."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            os.write(descriptor, f"{chr(10) * torn}{json.dumps(self.attempt)}\n".encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
