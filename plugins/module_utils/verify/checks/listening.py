# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Every container listens on declared ports only: the matrix tries no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


def check(_running: Running, subject: Subject, _asked: None) -> Checked:
    """Compare what the network namespace of a container shows with its declaration."""
    listening = subject.listens()
    wrong = "listens on a port that is not declared"
    mend = (f"# Name the port in `listens` of its declaration, or let {subject.name} bind it to 127.0.0.1.",)
    findings = [
        Finding("listener", subject.name, wrong, f"it listens on {port}", mend)
        for port in sorted(listening - set(subject.spec["listens"]))
    ]
    return Checked(findings, len(listening) - len(findings))


KIND = Kind("listener", "ports listened on", each(check))
