#!/usr/bin/env python3
"""Restart containers one at a time, and wait until each one is healthy: SERVICE [...]."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import containers

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import telling, way_on

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected

SHOWN_LINES = 12
START_SECONDS = 60  # to become healthy, in addition to the start period of the health check
# What went wrong, by the event that ends a restart.
ENDS = {"die": "ended right after its start", "health_status: healthy": None, "health_status: unhealthy": "unhealthy"}
NANOSECONDS = 10**9  # in a second; the engine counts in nanoseconds


def main() -> int:
    """Restart each chosen container, and stop at the first one that does not become healthy."""
    parser = containers.parser()
    parser.add_argument("service", nargs="+", help="services or containers, such as app or app-1")
    options = parser.parse_args()
    host = containers.host(options)
    host.say_where(options)
    for container in host.containers(options.service):
        begun = time.monotonic()
        sys.stdout.write(f"{container.short}: restarting\n")
        sys.stdout.flush()
        problem = restart(host, container.name)
        if problem:
            sys.stdout.write(f"{container.short}: {problem}\n")
            last = host.start("logs", "--tail", "1000", container.name, errors=subprocess.STDOUT)
            told = telling([line.rstrip("\n") for line in last.stdout or []], SHOWN_LINES)
            last.wait()
            sys.stdout.writelines(f"  {line}\n" for line in [*told, way_on(told)] if line)
            sys.stdout.write(f"./sse logs {container.short} shows the rest\n")
            return 1
        sys.stdout.write(f"{container.short}: back after {time.monotonic() - begun:.1f} s\n")
    return 0


def restart(host: containers.Host, name: str) -> str | None:
    """Restart one container, wait until the engine calls it healthy, and return what went wrong; None for nothing."""
    inspected: Inspected = json.loads(host.output("inspect", name))[0]
    check = inspected["Config"].get("Healthcheck") or {}
    begun = host.output("info", "--format", "{{.SystemTime}}").strip()
    host.output("restart", name)
    if (check.get("Test") or ["NONE"]) == ["NONE"]:
        return None
    only = ("--filter", f"container={name}", "--filter", "type=container")
    # These events begin before the restart, so that none is missed.
    events = host.start("events", "--since", begun, *only, "--format", "{{.Action}}")
    limit = threading.Timer(START_SECONDS + check.get("StartPeriod", 0) / NANOSECONDS, events.terminate)
    limit.start()
    try:
        return wait_until_healthy(events)
    finally:
        limit.cancel()
        events.terminate()
        events.wait()


def wait_until_healthy(events: subprocess.Popen[str]) -> str | None:
    """Read events until the container is healthy; return why it does not become healthy."""
    started = False
    for line in events.stdout or []:
        action = line.strip()
        started = started or action == "start"
        if started and action in ENDS:
            return ENDS[action]
    return "did not become healthy in time"


if __name__ == "__main__":
    sys.exit(main())
