# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Every declared container runs, and no other container carries the labels of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.run_lock import holder_of
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker
from ansible_collections.sse.platform.plugins.module_utils.model.observed import ASIDE
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


def check(running: Running, subjects: Sequence[Subject], _asked: None) -> Checked:
    """Compare the containers of the stack with its releases."""
    findings: list[Finding] = []
    rolling_out = holder_of(running.state_directory) is not None
    for release in running.releases:
        ours = {one.name for one in running.observed if one.belongs(release["stack"], release["project"])}
        aside = {f"{name}{ASIDE}" for name in release["containers"]} if rolling_out else set[str]()
        for name in sorted(ours - set(release["containers"]) - aside):  # a rollout goes back to these
            evidence = "it carries the labels of the stack, and no release names it"
            mend = (docker("rm", "-f", name),)
            findings.append(Finding("container", name, "no release declares it", evidence, mend))
        for name in release["containers"]:
            if name not in ours:
                evidence = "there is no such container"
                findings.append(Finding("container", name, "does not exist on this host", evidence, ("./sse up",)))
            elif not running.found[name].runs:
                findings.append(stopped(running, running.found[name]))
    return Checked(findings, len(subjects))


def stopped(running: Running, subject: Subject) -> Finding:
    """Describe a container that should run."""
    state = subject.inspected["State"]
    lines = " | ".join(running.engine.last_lines(subject.name, 3))
    evidence = f"{state['Status']}, exit code {state['ExitCode']}" + (f"; its last lines: {lines}" if lines else "")
    return Finding("container", subject.name, "does not run", evidence, (f"./sse logs {subject.name}", "./sse up"))


KIND = Kind("container", "containers running", together(check))
