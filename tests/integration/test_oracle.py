"""The promise, held by an independent judge against faults from a seed: see tests/judging/."""

from __future__ import annotations

import os

from ansible_collections.sse.platform.tests.integration.stack import Stack
from judging.judge import judge

SECONDS = 75.0  # after which no fault begins
FAULTS = 6  # by this seed: Kafka and NGINX die, a replica and NGINX hang, connections are reset, Redis stops


def test_nothing_is_lost_in_silence_doubled_or_out_of_order_whatever_fails(stack: Stack) -> None:
    seed = int(os.environ.get("SSE_SEED", "154"))
    report = judge(stack.name, SECONDS, FAULTS, seed)
    assert report["examples"] == [], report
    assert report["faults"]
    assert report["gaps told"] == 0, report  # no fault of these loses what was stored
    assert int(str(report["delivered"])) > int(str(report["accepted"])) > 0
