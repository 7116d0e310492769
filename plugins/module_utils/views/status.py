# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The state of a stack for people: one row for each container that runs or should run."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import all_networks
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import told

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec


class Row(NamedTuple):
    """One container, in words; what is not known is empty."""

    container: str
    state: str
    address: str = ""
    ports: str = ""
    image: str = ""
    restarts: str = ""
    uptime: str = ""
    release: str = ""


def observe(engine: Engine, stack: str, releases: Sequence[Release], loaded: LoadedStore) -> list[Row]:
    """Return a row for each container of the newest releases, and for each other container of the stack."""
    running = {one.name: one for one in engine.containers() if one.label("stack") == stack}
    specs = containers_of(releases)
    return [
        row(engine, running[name], specs.get(name), loaded) if name in running else Row(name, "missing")
        for name in dict.fromkeys([*specs, *running])
    ]


def row(engine: Engine, found: Observed, spec: Spec | None, loaded: LoadedStore) -> Row:
    """Describe one container; without a spec no release declares it.

    A container that was reloaded has the release that it was told last, not the one that it was created from.
    """
    details = engine.inspect(found.id)
    told = loaded.of(found)
    networks = all_networks(details).values()
    return Row(
        container=found.name,
        state=state(engine, found, spec, details),
        address=" ".join(one["IPAddress"] for one in networks if one["IPAddress"]),
        ports=" ".join(
            f"{url_host(one['HostIp'])}:{one['HostPort']}->{inside.split('/')[0]}"
            for inside, published in (details["HostConfig"]["PortBindings"] or {}).items()
            for one in published or ()
        ),
        image=details["Config"]["Image"],
        restarts=str(details["RestartCount"]),
        uptime=uptime(details["State"]["StartedAt"]) if details["State"]["Running"] else "",
        release=(told and told.get("release")) or found.label("release"),
    )


def state(engine: Engine, found: Observed, spec: Spec | None, details: Inspected) -> str:
    """Say how a container is: by the engine's health check or, where the engine has not run one, by asking now."""
    if found.status != "running":
        return f"{found.status} ({details['State']['ExitCode']})" if found.status == "exited" else found.status
    if found.health not in {"", "starting"} or spec is None:
        return found.health or "running"
    try:
        return "healthy" if check_health(engine, found.id, spec)[0] else "unhealthy"
    except EngineError:
        return "unhealthy"


def uptime(started: str) -> str:
    """Return the time since a start (RFC 3339, as the engine gives it), in its largest unit."""
    begun = dt.datetime.strptime(started[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    seconds = int((dt.datetime.now(dt.timezone.utc) - begun).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def said(rows: Sequence[Row], releases: Sequence[Release]) -> list[str]:
    """Pass on the problems that services say they have."""
    addresses = {one.container: one.address.partition(" ")[0] for one in rows if one.address}
    return [
        f"{name}: {problem}."
        for name, asked in kinds.of_kind(releases, told.KIND.name)
        if name in addresses
        for problem in told.ask(Endpoint(name, addresses[name], asked["port"]), asked["path"])
    ]


def opened(releases: Sequence[Release]) -> list[str]:
    """Say where people open what runs, and where the passwords of it are."""
    found = {one.get("name", ""): one.get("url", "") for release in releases for one in release.get("endpoints", [])}
    width = max(map(len, found), default=0)
    return ["", *(f"{name.ljust(width)}  {url}" for name, url in found.items())] if found else []


def stacks(engine: Engine) -> list[str]:
    """Name every stack that has containers on this host."""
    return sorted({one.label("stack") for one in engine.containers()} - {""})


def table(rows: list[Row], stack: str = "", there: Sequence[str] = ()) -> list[str]:
    """Lay rows out in columns.

    :param there: the stacks of this host, which help who has misspelt a name
    """
    if not rows:
        others = f". The stacks here are {', '.join(there)}; -e stack_name=NAME chooses one" if there else ""
        return [f"nothing runs of the stack '{stack}': `./sse up` starts it{others}"]
    cells = [tuple(name.upper() for name in Row._fields), *rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in cells]
