# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs outside of the stack answers each container that uses it, and is as the container needs it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import elsewhere as asking
from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Job, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere, Release, Spec
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ASKED_AT_ONCE = 4  # of one host


def ask_in(engine: Engine, container: str, spec: Spec, one: Elsewhere) -> asking.Answer:
    """Ask from within a container, with its names, its way out and the secrets that it has."""
    argument = asking.argument(one, elsewhere.files(one, spec))
    try:
        command = ["python3", "-I", "-c", one["program"], argument]
        return asking.read(*engine.execute(container, command, asking.SECONDS))
    except EngineError as error:
        return asking.Answer([str(error)], [])


def check(running: Running, subject: Subject, one: Elsewhere) -> Checked:
    """Ask from one container; what is good to know is told once."""
    found = ask_in(running.engine, subject.inspected["Id"], subject.spec, one)
    findings = _findings(subject.name, one, found, "asked from within it")
    notes = found.notes if subject.spec["container"] == one["containers"][0] else []
    return Checked(findings, int(not findings), [f"{elsewhere.place(one)}: {note}." for note in notes])


def _findings(name: str, one: Elsewhere, found: asking.Answer, evidence: str) -> list[Finding]:
    mend = (
        f"./sse verify  # after its owner has changed it; the settings {one['service']}_remote_* say what is asked",
    )
    return [Finding("elsewhere", name, f"{elsewhere.place(one)}: {text}", evidence, mend) for text in found.problems]


def in_tasks(engine: Engine, releases: Sequence[Release], host: str) -> Checked:
    """Ask from each container of a Swarm that uses something elsewhere and runs on this host.

    :param host: as it calls itself, for whoever reads the findings of several hosts
    """
    stacks = {release["stack"] for release in releases}
    tasks = [task for stack in stacks for task in node_told.running(engine, stack)]
    evidence = f"asked from within it on {host}"
    with ThreadPoolExecutor(ASKED_AT_ONCE) as pool:
        asked = [
            (name, one, pool.submit(ask_in, engine, identity, spec, one))
            for name, spec, one in elsewhere.users(releases)
            for user, identity in tasks
            if user == name
        ]
    found = [_findings(name, one, answer.result(), evidence) for name, one, answer in asked]
    return Checked([finding for findings in found for finding in findings], found.count([]))


def jobs(running: Running, _subjects: Sequence[Subject], _asked: None) -> list[Job]:
    """Ask from each container that uses it."""
    return [
        partial(check, running, subject, one)
        for __, one in elsewhere.of_releases(running.releases)
        for subject in running.named(one["containers"])
    ]


KIND = Kind("elsewhere", "answers from elsewhere", jobs)
