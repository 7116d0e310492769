# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The verification of a stack: every check asks what runs, side by side, and all findings are told at once."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import HostSide
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, report
from ansible_collections.sse.platform.plugins.module_utils.releases import verifications
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import stack_number
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds, matrix, timed
from ansible_collections.sse.platform.plugins.module_utils.verify.matrix import Cell
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Job, Kind

THREADS = 32  # nearly all of them wait on sockets nearly all the time
READY_PAUSE = 0.1  # seconds between two questions to a container that is not ready


class Report(TypedDict):
    """Everything that was found, as the modules return it."""

    msg: str
    findings: list[dict[str, Any]]
    counts: dict[str, int]
    seconds: dict[str, float]
    matrix: dict[str, int]
    grid: list[str]
    notes: list[str]


def verify_stack(
    state_directory: str,
    releases: Sequence[Release],
    patience: float = 0.0,
    disturbed: Callable[[], object] = lambda: None,
) -> Verifier:
    """Verify a whole stack, and keep the measured matrix for Prometheus.

    :param releases: the newest of each project
    :param patience: seconds that containers have to become ready before all else is checked
    :param disturbed: tells whether the stack has been changed meanwhile: then what was measured is not kept
    :raises EngineError: where the engine does not answer
    """
    verifier = Verifier(Engine(), state_directory, releases)
    verifier.run(patience)
    if disturbed():
        return verifier
    running = verifier.running
    matrix.keep(Path(state_directory), verifier.cells, running.certificates, enforced=running.enforced)
    verifier.finish()
    found = [one._asdict() for one in verifier.findings]
    verifications.keep(state_directory, stack_number(state_directory), verifier.counts, found)
    timed.tell(state_directory, found)
    return verifier


class Verifier:
    """Verifies releases of one stack on this host."""

    def __init__(self, engine: Engine, state_directory: str, releases: Sequence[Release]) -> None:
        """Look at what runs.

        :raises EngineError: where the engine does not answer
        """
        self.running = Running(engine, state_directory, releases)
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}  # of what is verified, by what it is
        self.seconds: dict[str, float] = {}  # of the longest check, by what it counts
        self.notes: list[str] = []
        self.cells: list[Cell] = []

    def run(self, patience: float = 0.0) -> None:
        """Run every check that holds for all containers, and every declared one."""
        deadline = time.monotonic() + patience
        running, declared = self.running, [one for one in self.declared() if not one[0].last]
        await_all([job for kind, job in declared if kind.awaited], deadline)
        others = [(kind, job) for kind in kinds.EVERYWHERE for job in kind.jobs(running, running.subjects, None)]

        def timed(job: Job) -> tuple[Checked, float]:
            begun = time.monotonic()
            return job(), time.monotonic() - begun

        with ThreadPoolExecutor(THREADS) as pool:
            slow = [(kind, pool.submit(timed, job)) for kind, job in declared]
            futures = [(kind, pool.submit(timed, job)) for kind, job in others] + slow
        for kind, future in futures:
            self.add(kind, *future.result())
        if self.findings and running.releases:  # what the host has lost explains them
            side = HostSide(running.engine, running.releases[0]["stack"], running.state_directory)
            self.findings[:0] = [one.finding() for one in side.lost()]
        if paused := switches.lines(running.state_directory):
            self.notes += [
                *paused,
                "So the events of this verification were the operator's own, which are let through.",
            ]
        measured = {cell.edge: cell for cell in running.cells}
        self.cells = [measured.get(edge) or Cell(edge, "unmeasured") for edge in running.edges]

    def finish(self) -> None:
        """Run the checks that ask for what this verification has written."""
        for kind, job in self.declared():
            if kind.last:
                begun = time.monotonic()
                self.add(kind, job(), time.monotonic() - begun)

    def add(self, kind: Kind, checked: Checked, seconds: float) -> None:
        """Take what a job found, and how long it took."""
        self.findings += checked.findings
        self.notes += checked.notes
        self.counts[kind.counts] = self.counts.get(kind.counts, 0) + checked.verified
        self.seconds[kind.counts] = max(self.seconds.get(kind.counts, 0.0), round(seconds, 2))

    def declared(self) -> list[tuple[Kind, Job]]:
        """Return the jobs of what the services declare, of containers that run."""
        found: list[tuple[Kind, Job]] = []
        for release in self.running.releases:
            if "checks" not in release:
                wrote = f"An older version deployed {release['project']}, and kept no checks of its services"
                self.notes.append(f"{wrote}: run ./sse up once.")
            for check in release.get("checks", []):
                kind, subjects = kinds.DECLARED[check["kind"]], self.running.named(check["containers"])
                if subjects:
                    found += [(kind, job) for job in kind.jobs(self.running, subjects, check["parameters"])]
        return found

    def report(self, *, grid: bool = False) -> Report:
        """Return everything that was found, as the modules give it."""
        verified = ", ".join(f"{count} {what}" for what, count in self.counts.items() if count)
        return {
            "msg": report(self.findings) if self.findings else f"verified: {verified}",
            "findings": [one._asdict() for one in self.findings],
            "counts": self.counts,
            "seconds": self.seconds,
            "matrix": matrix.totals(self.cells),
            "grid": matrix.grid(self.cells) if grid else [],
            "notes": [*self.notes, matrix.note(self.cells)],
        }


def await_all(jobs: list[Job], deadline: float) -> None:
    """Wait for what is not ready: a container that was kept has to find one that was replaced."""
    while jobs and time.monotonic() < deadline:
        jobs = [job for job in jobs if job().findings]
        if jobs:
            time.sleep(READY_PAUSE)
