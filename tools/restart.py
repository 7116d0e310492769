#!/usr/bin/env python3
"""Restart containers one at a time, each healthy before the next: SERVICE [...]."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import Any

import containers

START_SECONDS = 60  # to become healthy, on top of the start period that the healthcheck itself grants
NANOSECONDS = 1_000_000_000  # the engine's unit of time, in a second


def main() -> int:
    """Restart each chosen container; stop at the first that doesn't come back."""
    parser = containers.parser(__doc__)
    parser.add_argument("service", nargs="+", help="services or containers, such as app or kafka")
    options = parser.parse_args()
    host = containers.host(options)
    for container in host.containers(options.service):
        begun = time.monotonic()
        sys.stdout.write(f"{container.short}: restarting\n")
        sys.stdout.flush()
        fault = restart(host, container.name)
        if fault:
            sys.stdout.write(f"{container.short}: {fault}\n")
            subprocess.run(host.docker("logs", "--tail", "20", container.name), check=False)
            return 1
        sys.stdout.write(f"{container.short}: back after {time.monotonic() - begun:.1f} s\n")
    return 0


def restart(host: containers.Host, name: str) -> str | None:
    """Restart one container and wait for the engine's word that it is healthy; return what went wrong."""
    described: dict[str, Any] = json.loads(containers.output(host.docker("inspect", name)))[0]
    check = described["Config"].get("Healthcheck") or {}
    begun = containers.output(host.docker("info", "--format", "{{.SystemTime}}")).strip()
    containers.output(host.docker("restart", name))
    if not check.get("Test") or check["Test"] == ["NONE"]:
        return None
    only = ("--filter", f"container={name}", "--filter", "type=container")
    # Events since before the restart: none can be missed.
    events = subprocess.Popen(
        host.docker("events", "--since", begun, *only, "--format", "{{.Action}}"), stdout=subprocess.PIPE, text=True
    )
    limit = threading.Timer(START_SECONDS + check.get("StartPeriod", 0) / NANOSECONDS, events.terminate)
    limit.start()
    try:
        return awaited(events)
    finally:
        limit.cancel()
        events.terminate()
        events.wait()


def awaited(events: subprocess.Popen[str]) -> str | None:
    """Read events until the container is healthy; return why it isn't."""
    started = False
    for line in events.stdout or []:
        action = line.strip()
        if action == "start":
            started = True
        elif started and action == "die":
            return "ended right after its start"
        elif started and action == "health_status: healthy":
            return None
        elif started and action == "health_status: unhealthy":
            return "unhealthy"
    return "not healthy in time"


if __name__ == "__main__":
    sys.exit(main())
