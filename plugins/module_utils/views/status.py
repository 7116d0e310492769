# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The state of a stack: one entry for each container that runs or should run. `status_table` lays it out for people."""

from __future__ import annotations

import contextlib
import datetime as dt
import time
from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.engine.answers import all_networks
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health
from ansible_collections.sse.platform.plugins.module_utils.host import cgroups
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.connections import containers_of
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import told

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec

TRIES = 3  # of a look, while a run removes containers
SHORTEST_SECONDS = 0.3  # over which the use of the processor is measured


class Published(TypedDict):
    """A port of a container that the host offers."""

    host_ip: str
    host_port: int
    port: int
    protocol: str


class Seen(TypedDict):
    """One container. `./sse status --json` shows this, so a key may be added, and none may change its meaning."""

    name: str
    container: str  # its short name, which the verbs take
    service: str
    project: str
    state: str  # healthy, unhealthy, running, missing, exited, restarting, paused, created, dead
    exit_code: int | None  # of one that ended
    addresses: list[str]
    ports: list[Published]
    image: str
    restarts: int | None
    started: str  # UTC, ISO 8601; empty where it does not run
    uptime_seconds: int | None
    release: int | None
    cpu_percent: float | None  # of one core, over the last moment
    memory_bytes: int | None
    memory_limit_bytes: int | None


class Watcher:
    """Looks at a stack again and again; from one look to the next it knows what the processor did."""

    def __init__(self, engine: Engine, stack: str, loaded: LoadedStore) -> None:
        """Look at one stack."""
        self.engine = engine
        self.stack = stack
        self.loaded = loaded
        self.before: dict[str, tuple[float, float]] = {}  # time and CPU seconds, by the id of the container

    def begin(self) -> None:
        """Ask what the processor did until now; a container that is removed meanwhile did nothing any more."""
        for one in self.engine.containers():
            if one.label("stack") == self.stack and one.status == "running":
                with contextlib.suppress(EngineError):
                    self.use(one.id, self.engine.inspect(one.id))

    def look(self, releases: Sequence[Release]) -> list[Seen]:
        """Return an entry for each container of the newest releases, and for each other container of the stack.

        A run may remove a container between the list and the question about it. Then all is asked again.
        """
        for __ in range(TRIES - 1):
            with contextlib.suppress(EngineError):
                return self.look_once(releases)
        return self.look_once(releases)

    def look_once(self, releases: Sequence[Release]) -> list[Seen]:
        """Look; raises EngineError where a container was removed meanwhile, or the engine does not answer."""
        running = {one.name: one for one in self.engine.containers() if one.label("stack") == self.stack}
        specs = containers_of(releases)
        projects = {name: release["project"] for release in releases for name in release["containers"]}
        found: list[Seen] = []
        for name in dict.fromkeys([*specs, *running]):
            spec = specs.get(name)
            if one := running.get(name):
                found.append(self.seen(one, spec))
            else:
                found.append(missing(name, spec, projects[name]))
        return found

    def seen(self, found: Observed, spec: Spec | None) -> Seen:
        """Describe one container; without a spec no release declares it.

        A container that was reloaded has the release that it was told last, not the one that it was created from.
        """
        details = self.engine.inspect(found.id)
        reloaded = self.loaded.of(found)
        release = (reloaded and reloaded.get("release")) or found.label("release")
        runs = details["State"]["Running"]
        cpu, memory = self.use(found.id, details) if runs else (None, None)
        return {
            "name": found.name,
            "container": found.label("container") or found.name,
            "service": found.label("service"),
            "project": found.label("project"),
            "state": state(self.engine, found, spec, details),
            "exit_code": details["State"]["ExitCode"] if found.status == "exited" else None,
            "addresses": [one["IPAddress"] for one in all_networks(details).values() if one["IPAddress"]],
            "ports": published(details),
            "image": details["Config"]["Image"],
            "restarts": details["RestartCount"],
            "started": f"{details['State']['StartedAt'][:19]}Z" if runs else "",
            "uptime_seconds": uptime(details["State"]["StartedAt"]) if runs else None,
            "release": int(release) if release.isdigit() else None,
            "cpu_percent": cpu,
            "memory_bytes": memory,
            "memory_limit_bytes": details["HostConfig"]["Memory"] or None,
        }

    def use(self, container: str, details: Inspected) -> tuple[float | None, int | None]:
        """Return the use of the processor since the last look, and the memory."""
        used = cgroups.use(details["State"]["Pid"])
        if used is None:
            return None, None
        now = time.monotonic()
        at, before = self.before.get(container, (now, used.cpu_seconds))
        self.before[container] = (now, used.cpu_seconds)
        percent = round(100 * (used.cpu_seconds - before) / (now - at), 1) if now > at else None
        return percent, used.memory


def observe(watcher: Watcher, releases: Sequence[Release], sleep: Callable[[float], None] = time.sleep) -> list[Seen]:
    """Look once, a moment after the processor was asked, so that its use is known."""
    begun = time.monotonic()
    watcher.begin()
    sleep(max(0.0, SHORTEST_SECONDS - (time.monotonic() - begun)))
    return watcher.look(releases)


def missing(name: str, spec: Spec | None, project: str) -> Seen:
    """Describe a container that should run, and is not there."""
    return {
        "name": name,
        "container": spec["container"] if spec else name,
        "service": spec["service"] if spec else "",
        "project": project,
        "state": "missing",
        "exit_code": None,
        "addresses": [],
        "ports": [],
        "image": "",
        "restarts": None,
        "started": "",
        "uptime_seconds": None,
        "release": None,
        "cpu_percent": None,
        "memory_bytes": None,
        "memory_limit_bytes": None,
    }


def published(details: Inspected) -> list[Published]:
    """Return the ports that the host offers."""
    return [
        {
            "host_ip": one["HostIp"],
            "host_port": int(one["HostPort"] or 0),
            "port": int(inside.split("/")[0]),
            "protocol": inside.partition("/")[2] or "tcp",
        }
        for inside, offered in (details["HostConfig"]["PortBindings"] or {}).items()
        for one in offered or ()
    ]


def state(engine: Engine, found: Observed, spec: Spec | None, details: Inspected) -> str:
    """Say how a container is: by the engine's health check or, where the engine has not run one, by asking now."""
    if found.status != "running":
        return found.status
    if found.health not in {"", "starting"} or spec is None:
        return found.health or "running"
    try:
        return "healthy" if check_health(engine, found.id, spec)[0] else "unhealthy"
    except EngineError:
        return "unhealthy"


def uptime(started: str) -> int:
    """Return the seconds since a start (RFC 3339, as the engine gives it)."""
    begun = dt.datetime.strptime(started[:19] + "+0000", "%Y-%m-%dT%H:%M:%S%z")
    return max(0, int((dt.datetime.now(dt.timezone.utc) - begun).total_seconds()))


def said(found: Sequence[Seen], releases: Sequence[Release]) -> list[str]:
    """Pass on the problems that services say they have."""
    addresses: Mapping[str, str] = {one["name"]: one["addresses"][0] for one in found if one["addresses"]}
    return [
        f"{name}: {problem}."
        for name, asked in kinds.of_kind(releases, told.KIND.name)
        if name in addresses
        for problem in told.ask(Endpoint(name, addresses[name], asked["port"]), asked["path"])
    ]


def stacks(engine: Engine) -> list[str]:
    """Name every stack that has containers on this host."""
    return sorted({one.label("stack") for one in engine.containers()} - {""})


def nothing_runs(stack: str, there: Sequence[str]) -> str:
    """Say that nothing runs of a stack.

    :param there: the stacks of this host, which help who has misspelt a name
    """
    others = f". The stacks here are {', '.join(there)}; -e stack_name=NAME chooses one" if there else ""
    return f"nothing runs of the stack '{stack}': `./sse up` starts it{others}"
