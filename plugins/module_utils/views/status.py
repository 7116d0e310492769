"""The state of a stack for people: one row a container, whether it runs or only should."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import State
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.release import Release

COLUMNS = ("container", "state", "address", "ports", "image", "restarts", "uptime", "release")


def observe(engine: Engine, stack: str, releases: list[Release]) -> list[dict[str, Any]]:
    """Return a row for each container of the newest releases, and for each that runs beside them."""
    running = {one.name: one for one in engine.containers() if one.label("stack") == stack}
    specs: dict[str, Any] = {name: one for release in releases for name, one in release["containers"].items()}
    rows = [row(engine, name, running.get(name), spec) for name, spec in specs.items()]
    return rows + [row(engine, name, one, None) for name, one in running.items() if name not in specs]


def row(engine: Engine, name: str, found: Observed | None, spec: dict[str, Any] | None) -> dict[str, Any]:
    """Describe one container."""
    if found is None:
        return {**dict.fromkeys(COLUMNS, ""), "container": name, "state": "missing"}
    details = engine.inspect(found.id)
    state = details["State"]
    networks = (details["NetworkSettings"]["Networks"] or {}).values()
    ports = details["HostConfig"]["PortBindings"] or {}
    return {
        "container": name,
        "state": health(engine, found, spec, state),
        "address": " ".join(one["IPAddress"] for one in networks if one["IPAddress"]),
        "ports": " ".join(
            f"{url_host(one['HostIp'])}:{one['HostPort']}->{inside.split('/')[0]}"
            for inside, published in ports.items()
            for one in published or []
        ),
        "image": details["Config"]["Image"],
        "restarts": str(details["RestartCount"]),
        "uptime": uptime(state["StartedAt"]) if state["Running"] else "",
        "release": found.label("release"),
    }


def health(engine: Engine, found: Observed, spec: dict[str, Any] | None, state: State) -> str:
    """Say how a container is: what the engine's check found, or what ours finds now where the engine runs none."""
    if found.status != "running":
        return f"{found.status} ({state['ExitCode']})" if found.status == "exited" else found.status
    if found.health or spec is None:
        return found.health or "running"
    try:
        return "healthy" if check_health(engine, found.id, spec)[0] else "unhealthy"
    except EngineError:
        return "unhealthy"


def uptime(started: str, now: dt.datetime | None = None) -> str:
    """Return the time since a start (RFC 3339, as the engine gives it), in its largest unit."""
    begun = dt.datetime.strptime(started[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    seconds = int(((now or dt.datetime.now(dt.timezone.utc)) - begun).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Lay rows out in columns."""
    if not rows:
        return ["nothing runs: `./sse up` starts the stack"]
    widths = {column: max(len(column), *(len(one[column]) for one in rows)) for column in COLUMNS}
    header = "  ".join(column.upper().ljust(widths[column]) for column in COLUMNS)
    body = ["  ".join(one[column].ljust(widths[column]) for column in COLUMNS) for one in rows]
    return [line.rstrip() for line in [header, *body]]
