# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container offers the metrics that only exist once this verification has been written down."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

PATIENCE = 20.0  # seconds: after a change of everything a host with few cores answers late, without a fault
PAUSE = 0.5  # seconds between two questions


class Parameters(TypedDict):
    """Where the metrics are, and the names of those that must be among them."""

    port: int
    path: str
    names: list[str]


def check(_running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Read the metrics, and name each one that is not there: an alert about it could never fire."""
    endpoint, deadline = subject.endpoint(asked["port"]), time.monotonic() + PATIENCE
    while True:
        answer = request(endpoint, "GET", asked["path"], timeout=PATIENCE)
        lines = answer.body.splitlines() if answer.status == 200 else []
        known = {re.split(r"[{ ]", line, maxsplit=1)[0] for line in lines if not line.startswith("#")}
        absent = [name for name in asked["names"] if name not in known]
        if not absent or time.monotonic() > deadline:
            break
        threading.Event().wait(PAUSE)
    wrong = f"{endpoint.url}{asked['path']} does not have the metrics {', '.join(absent)}"
    evidence = answer.shown if answer.status != 200 else f"{len(known)} others are there"
    mend = ("./sse up", f"./sse logs {subject.name}")
    findings = [Finding("series", subject.name, wrong, evidence, mend)] if absent else []
    return Checked(findings, len(asked["names"]) - len(absent))


PARAMETERS = {"port": (spec.port, ...), "path": (spec.absolute, "/metrics"), "names": (spec.list_of(spec.text), ...)}
KIND = Kind("series", "metrics of the host", each(check), spec.record(PARAMETERS), last=True)
