"""Measure the seconds from a fault to the receiver, and to the message that it is over, with the settings as they are.

    .venv/bin/python bench/alerts.py [--soon] [--json FILE]

It deploys a stack of its own (``bench-alerts``) with a web server on this machine as its receiver, breaks five things
at once, and removes everything. What an alert waits for (``for`` of its rule) is in the figures. With ``--soon`` it is
0 s, and what is left is the way: scrape (5 s), evaluation (15 s), Alertmanager (``alerts_wait_seconds``).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
from pathlib import Path
from time import time

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / ".ansible" / "collections"))

from ansible_collections.sse.platform.tests.integration.faults import FAULTS, Fault  # noqa: E402
from ansible_collections.sse.platform.tests.integration.receivers import HOST, Receivers, receiving  # noqa: E402
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually  # noqa: E402

SECONDS = 400.0  # for an alert that waits longest


def first(receivers: Receivers, fault: Fault, status: str, since: float) -> float | None:
    """Return when the first message with this status came."""
    for got in list(receivers.got):
        for one in got.alerts if got.path.startswith("/hook") and got.at >= since else ():
            labels = one["labels"]
            if (
                labels["alertname"] == fault.alert
                and fault.labels.items() <= labels.items()
                and one["status"] == status
            ):
                return got.at
    return None


def measured(stack: Stack, receivers: Receivers) -> dict[str, dict[str, float]]:
    """Break all five things, wait for their messages, mend them, and wait again."""
    found: dict[str, dict[str, float]] = {name: {} for name in FAULTS}

    def awaited(status: str, begun: dict[str, float]) -> None:
        for name, fault in FAULTS.items():

            def came(fault: Fault = fault, name: str = name) -> bool:
                return first(receivers, fault, status, begun[name]) is not None

            eventually(came, f"{name}: {status}", SECONDS)
            found[name][status] = round((first(receivers, fault, status, begun[name]) or 0) - begun[name], 1)

    with contextlib.ExitStack() as broken:
        begun: dict[str, float] = {}
        for name, fault in FAULTS.items():
            begun[name] = time()
            broken.enter_context(fault.broken(stack))
        awaited("firing", begun)
        mended = dict.fromkeys(FAULTS, time())
    awaited("resolved", mended)
    return found


def main() -> None:
    """Print a table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--soon", action="store_true", help="let the alerts fire at once")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    stack = Stack("bench-alerts", "10.87.0.0/24", 18680)
    waits = (
        {"prometheus_alert_for": dict.fromkeys({one.alert for one in FAULTS.values()}, "0s")} if options.soon else {}
    )
    with tempfile.TemporaryDirectory() as place, receiving(Path(place)) as receivers:
        stack.destroy()
        try:
            stack.up(
                alerts_to={"webhook": f"https://{HOST}:{receivers.web}/hook"},
                alerts_authorities_file=str(Path(place) / "authority.pem"),
                **waits,
            )
            found = measured(stack, receivers)
        finally:
            stack.destroy()
    width = max(map(len, found))
    for name, seconds in found.items():
        sys.stdout.write(f"{name.ljust(width)}  told after {seconds['firing']} s, over after {seconds['resolved']} s\n")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
