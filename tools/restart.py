#!/usr/bin/env python3
"""Restart containers one at a time, and wait until each one is healthy: SERVICE [...]."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import containers
import inventories

# isort: split
from ansible_collections.sse.platform.plugins.module_utils.deploy.cause import telling, way_on
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import holds_label

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected

SHOWN_LINES = 12
START_SECONDS = 60  # to become healthy, in addition to the start period of the health check
CHECK_SECONDS = 30  # of one health check that declares no time-out, as the engine has it
CLUSTER_SECONDS = 300  # for all tasks of a service: to end, to start and to be watched by the Swarm
PAUSE_SECONDS = 0.3  # between two health checks
NANOSECONDS = 10**9  # in a second; the engine counts in nanoseconds


def main() -> int:
    """Restart each chosen container, and stop at the first one that does not become healthy."""
    parser = containers.parser()
    parser.add_argument("service", nargs="+", help="services or containers, such as app or app-1")
    options = parser.parse_args()
    if inventories.is_cluster(options.inventory):
        return of_cluster(options)
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
            told = telling([line.rstrip("\n") for line in host.lines(last)], SHOWN_LINES)
            last.wait()
            sys.stdout.writelines(f"  {line}\n" for line in [*told, way_on(told)] if line)
            sys.stdout.write(f"./sse logs {container.short} shows the rest\n")
            return 1
        sys.stdout.write(f"{container.short}: back after {time.monotonic() - begun:.1f} s\n")
    return 0


def of_cluster(options: argparse.Namespace) -> int:
    """Have the Swarm replace the tasks of each chosen service; stop at the first one that it does not replace."""
    options.limit = options.limit or "managers[0]"
    host = containers.host(options, of_cluster=True)
    chosen = host.services(options.service)
    refuse_copies(host, chosen)
    host.say_where(options)
    for service in chosen:
        begun = time.monotonic()
        sys.stdout.write(f"{service.short}: restarting\n")
        sys.stdout.flush()
        if problem := replaced(host, service.name):
            sys.stdout.write(f"{service.short}: {problem}\n")
            sys.stdout.write(f"./sse status says what runs where, ./sse logs {service.short} what it wrote\n")
            return 1
        sys.stdout.write(f"{service.short}: back after {time.monotonic() - begun:.1f} s\n")
    return 0


def refuse_copies(host: containers.Host, chosen: list[containers.Container]) -> None:
    """End where several would be restarted that keep copies for each other: nobody here knows when one has its copy."""
    form = "{{json .Spec.TaskTemplate.Placement.Constraints}}"
    asked = host.output("service", "inspect", "--format", form, *(one.name for one in chosen)).splitlines()
    held = [one for one, placed in zip(chosen, asked, strict=True) if holds_label(one.name) in placed]
    for service in {one.service for one in held}:
        alike = [one.short for one in held if one.service == service]
        if len(alike) > 1:
            raise SystemExit(
                f"sse: {', '.join(alike)} keep copies for each other, and this verb does not wait until one has what "
                "it missed: restart one. Before the next one, ./sse node drain HOST --check of its host says whether "
                "another one lacks something."
            )


def replaced(host: containers.Host, name: str) -> str | None:
    """Replace the tasks of a service, and wait until the new ones are healthy; return what went wrong.

    The Swarm goes back where a new task does not get healthy.
    """
    update = host.start("service", "update", "--force", "--quiet", name, errors=subprocess.STDOUT)
    try:
        said, __ = update.communicate(timeout=CLUSTER_SECONDS)
    except subprocess.TimeoutExpired:
        containers.stop(update)
        return f"not replaced after {CLUSTER_SECONDS} s; the Swarm goes on with it"
    if update.returncode == 0:
        return None
    lines = [line for line in said.splitlines() if line not in {name, containers.MARK}]
    return "\n  ".join(lines) or f"docker service update ended with {update.returncode}"


def restart(host: containers.Host, name: str) -> str | None:
    """Restart one container, wait until it is healthy, and return what went wrong; None for nothing.

    It runs the health check by itself: the engine runs it every half a minute only.
    """
    inspected: Inspected = json.loads(host.output("inspect", name))[0]
    check = inspected["Config"].get("Healthcheck") or {}
    kind, *command = check.get("Test") or ["NONE"]
    host.output("restart", name)
    if kind == "NONE":
        return None
    ends = time.monotonic() + START_SECONDS + check.get("StartPeriod", 0) / NANOSECONDS
    while time.monotonic() < ends:
        found: Inspected = json.loads(host.output("inspect", name))[0]
        if not found["State"]["Running"] or found["RestartCount"]:
            return "ended right after its start"
        asked = command if kind == "CMD" else ["sh", "-c", *command]
        seconds = check.get("Timeout", 0) / NANOSECONDS or CHECK_SECONDS
        if passes(host.start("exec", name, *asked, errors=subprocess.DEVNULL), seconds):
            return None
        time.sleep(PAUSE_SECONDS)
    return "did not become healthy in time"


def passes(check: subprocess.Popen[str], seconds: float) -> bool:
    """Tell whether a health check ends well within these seconds."""
    try:
        return check.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        containers.stop(check)
        return False


if __name__ == "__main__":
    sys.exit(main())
