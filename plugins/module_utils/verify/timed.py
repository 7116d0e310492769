# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What Prometheus is told of a verification where the host verifies on a timer: how often, and how much was found.

The timer's program tells it, and so does each later verification of the whole stack: what the timer found may be mended
long before it looks again.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.host.gauges import gauge

if TYPE_CHECKING:
    from collections.abc import Sequence

METRICS = "matrix/verify.prom"  # where the node exporter looks
JOB = "verify/timer.json"  # there where the host has such a timer


class Job(TypedDict):
    """What the timer is set up for."""

    stack: str
    state_directory: str
    period: int  # seconds


def record(job: Job, findings: Sequence[object], now: float) -> None:
    """Write the metrics."""
    values = {
        "sse_reach_period_seconds": ("The time from one verification of the timer to the next.", job["period"]),
        "sse_verify_findings": ("What the last verification of the whole stack found wrong.", len(findings)),
        "sse_verify_last_end_timestamp_seconds": ("When that verification ended.", now),
    }
    lines = [line for name, (text, value) in values.items() for line in gauge(name, text, ("", f"{value:.15g}"))]
    path = Path(job["state_directory"]) / METRICS
    state_modes.make(path.parent)
    write_file(path, "\n".join(lines) + "\n", mode=0o444)


def tell(state_directory: str, findings: Sequence[object]) -> None:
    """Tell what a verification found; nothing where no timer verifies. It is no reason for a run to fail."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        job = cast("Job", json.loads((Path(state_directory) / JOB).read_text()))
        record(job, findings, time.time())
