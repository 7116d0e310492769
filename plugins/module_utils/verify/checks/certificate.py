# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container gives a certificate that counts now, in a handshake."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host import served_certificate
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


class Parameters(TypedDict):
    """Where TLS is spoken, and whether a run is all that changes the certificate: then its end is kept as a metric."""

    port: int
    lasting: bool


def check(running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Make a handshake. That the end is near is a note here: what runs is as it was released."""
    now = time.time()
    found = served_certificate.look(subject.name, subject.address, asked["port"])
    if asked["lasting"]:
        running.certificates.append(found)
    if not (problem := found.problem(now)):
        return Checked()
    if not found.error and found.ends > now >= found.begins:
        return Checked(notes=[f"{subject.name}: {problem}."])
    mend = (f"./sse logs {subject.name}", "./sse up")
    return Checked([Finding("certificate", subject.name, problem, f"asked at {subject.address}", mend)], 0)


PARAMETERS = {"port": (spec.port, ...), "lasting": (spec.flag, True)}
KIND = Kind("certificate", "certificates", each(check), spec.record(PARAMETERS))
