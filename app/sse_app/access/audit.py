"""One line of the log for each decision about a right: who, which right, for what, how it ended, and which request.

Refusals are always written, as long as there are few of them; what is over is counted, so that nobody fills the log. Of
what is allowed, one in SSE_AUDIT_SAMPLE is written. A line names channels as they were asked for, and no credential.
"""

import json
import logging
import time

from sse_app.base.channels import Filter
from sse_app.base.metrics import Metrics
from sse_app.base.outcomes import Decision, Permission

_LINES = 20  # refusals a second for long
_BURST = 200  # at once
_CHANNELS = 10  # that a line names
_LONGEST = 200  # characters of a name
logger = logging.getLogger("sse_app.audit")


class Audit:
    """Writes the lines of one replica, and counts every decision."""

    def __init__(self, metrics: Metrics, sample: int) -> None:
        """`sample`: of so many decisions that allow something, one is written; 0: none."""
        self._metrics = metrics
        self._sample = sample
        self._allowed = 0
        self._lines = float(_BURST)
        self._counted = time.monotonic()
        self._dropped = 0

    def allowed(self, principal: str, right: Permission, wanted: Filter | None = None) -> None:
        """Count a decision, and write one of many."""
        self._metrics.decisions["allowed"] += 1
        if not self._sample:
            return
        if self._allowed % self._sample == 0:
            self._write(principal, right, wanted, "allowed", "")
        self._allowed += 1

    def refused(self, principal: str, right: Permission, reason: str, wanted: Filter | None = None) -> None:
        """Count a refusal, and write it unless there are too many."""
        self._metrics.decisions["refused"] += 1
        now = time.monotonic()
        self._lines = min(_BURST, self._lines + (now - self._counted) * _LINES)
        self._counted = now
        if self._lines < 1:
            self._dropped += 1
            self._metrics.audit_dropped += 1
            return
        self._lines -= 1
        self._write(principal, right, wanted, "refused", reason)

    def _write(self, principal: str, right: Permission, wanted: Filter | None, outcome: Decision, reason: str) -> None:
        names = [] if wanted is None else wanted.names()
        decision: dict[str, object] = {
            "principal": principal[:_LONGEST],
            "right": right,
            "channels": [name[:_LONGEST] for name in names[:_CHANNELS]],
            "outcome": outcome,
        }
        if len(names) > _CHANNELS:
            decision["further_channels"] = len(names) - _CHANNELS
        if reason:
            decision["reason"] = reason
        if self._dropped:
            decision["dropped_before"], self._dropped = self._dropped, 0
        logger.info("decision %s", json.dumps(decision), extra={"decision": decision})
