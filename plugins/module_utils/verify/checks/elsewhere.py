# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs outside of the stack answers each container that uses it, and is as the container needs it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import elsewhere as asking
from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Job, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere, Spec
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


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
    mend = (
        f"./sse verify  # after its owner has changed it; the settings {one['service']}_remote_* say what is asked",
    )
    findings = [
        Finding("elsewhere", subject.name, f"{elsewhere.place(one)}: {problem}", "asked from within it", mend)
        for problem in found.problems
    ]
    notes = found.notes if subject.spec["container"] == one["containers"][0] else []
    return Checked(findings, int(not findings), [f"{elsewhere.place(one)}: {note}." for note in notes])


def jobs(running: Running, _subjects: Sequence[Subject], _asked: None) -> list[Job]:
    """Ask from each container that uses it."""
    return [
        partial(check, running, subject, one)
        for __, one in elsewhere.of_releases(running.releases)
        for subject in running.named(one["containers"])
    ]


KIND = Kind("elsewhere", "answers from elsewhere", jobs)
