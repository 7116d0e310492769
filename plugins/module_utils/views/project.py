"""A project of containers as far as its networking goes: read from a Compose file, the engine, or a release of ours."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Json = dict[str, Any]

EVERYWHERE = "0.0.0.0"  # noqa: S104 - compared, not bound
DEFAULT_BRIDGE = "bridge"  # the engine's own network, which has no DNS
PORT = re.compile(
    r"(?:(?:\[(?P<v6>[0-9a-fA-F:]+)\]|(?P<v4>\d+(?:\.\d+){3})):)?(?:(?P<host>\d+)(?:-\d+)?:)?(?P<container>\d+)(?:-\d+)?"
    r"(?:/(?:tcp|udp|sctp))?\Z"
)


class ProjectError(ValueError):
    """A Compose file that is not understood; the message names the place."""


@dataclass(frozen=True)
class Port:
    """A published port; the first of a range."""

    host_ip: str
    container_port: int

    @property
    def everywhere(self) -> bool:
        """Whether it listens on every address of the host."""
        return self.host_ip in {EVERYWHERE, "::"}


@dataclass(frozen=True)
class Service:
    """One container, or one service of a Compose file."""

    name: str
    networks: tuple[str, ...] = ()
    mode: str = ""  # network_mode where it is not a network: host, none, container:...
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    checked: bool = False  # something asks whether it works
    needs: tuple[str, ...] = ()  # services that it starts after
    memory: bool = False
    pids: bool = False
    privileged: bool = False
    engine_socket: bool = False


@dataclass(frozen=True)
class Network:
    """One network of the project; used by whom the services say."""

    name: str
    explicit: bool = True  # its name does not come from a directory's name
    others: int = 0  # containers of other projects on it


@dataclass(frozen=True)
class Project:
    """What is audited."""

    name: str
    services: tuple[Service, ...]
    networks: tuple[Network, ...]


# --- a Compose file (https://github.com/compose-spec/compose-spec/blob/main/spec.md)


def from_compose(document: Any, name: str) -> Project:
    """Read a Compose file.

    Variables in it (``${TAG}``) are taken as they stand: what matters here seldom depends on them.

    :raises ProjectError: where it is none
    """
    top = mapping(document, "the file")
    services = mapping(top.get("services"), "services")
    if not services:
        raise ProjectError("services: none; a Compose file has at least one")
    declared = {
        key: mapping(value, f"networks.{key}") for key, value in mapping(top.get("networks"), "networks").items()
    }
    read = tuple(compose_service(key, mapping(value, f"services.{key}")) for key, value in services.items())
    if any("default" in one.networks for one in read):
        declared.setdefault("default", {})
    networks = tuple(
        Network(key, explicit=bool(value.get("name") or value.get("external"))) for key, value in declared.items()
    )
    return Project(str(top.get("name") or name), read, networks)


def compose_service(name: str, given: Json) -> Service:
    """Read one service of a Compose file."""
    path = f"services.{name}"
    mode = str(given.get("network_mode") or "")
    networks = tuple(names(given.get("networks"), f"{path}.networks"))
    limits = mapping(mapping(mapping(given.get("deploy"), path).get("resources"), path).get("limits"), path)
    check = mapping(given.get("healthcheck"), f"{path}.healthcheck")
    mounts = [
        one if isinstance(one, str) else str(mapping(one, path).get("source")) for one in items(given.get("volumes"))
    ]
    return Service(
        name=name,
        networks=(DEFAULT_BRIDGE,) if mode == DEFAULT_BRIDGE else networks or (() if mode else ("default",)),
        mode="" if mode == DEFAULT_BRIDGE else mode,
        ports=tuple(compose_port(one, f"{path}.ports[{index}]") for index, one in enumerate(items(given.get("ports")))),
        environment=environment(given.get("environment"), f"{path}.environment"),
        checked=bool(check) and not check.get("disable") and check.get("test") not in ("NONE", ["NONE"]),
        needs=tuple(names(given.get("depends_on"), f"{path}.depends_on")),
        memory=bool(given.get("mem_limit") or limits.get("memory")),
        pids=bool(given.get("pids_limit") or limits.get("pids")),
        privileged=bool(given.get("privileged")),
        engine_socket=any(one.split(":")[0].endswith("docker.sock") for one in mounts),
    )


def compose_port(given: Any, path: str) -> Port:
    """Read a published port, in the short or the long syntax."""
    if isinstance(given, dict):
        long = mapping(cast("object", given), path)
        return Port(str(long.get("host_ip") or EVERYWHERE), int(str(long.get("target")).split("-")[0]))
    match = PORT.match(str(given))
    if match is None:
        raise ProjectError(f"{path}: {given!r} is no port; expected [[address:]host port:]container port")
    return Port(match["v6"] or match["v4"] or EVERYWHERE, int(match["container"]))


def environment(given: Any, path: str) -> dict[str, str]:
    """Read an environment, a dictionary or a list of NAME=value."""
    if isinstance(given, list):
        pairs = (str(one).partition("=") for one in cast("list[object]", given))
        return {key: value for key, _, value in pairs}
    return {key: "" if value is None else str(value) for key, value in mapping(given, path).items()}


def mapping(value: Any, path: str) -> Json:
    """Accept a dictionary, or nothing."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ProjectError(f"{path}: expected a mapping, found {type(value).__name__}")
    return {str(key): item for key, item in cast("dict[object, Any]", value).items()}


def items(value: Any) -> list[Any]:
    """Accept a list, or nothing."""
    return cast("list[Any]", value) if isinstance(value, list) else []


def names(value: Any, path: str) -> list[str]:
    """Accept names as a list or as the keys of a mapping."""
    return [str(one) for one in items(value)] if isinstance(value, list) else list(mapping(value, path))


# --- the engine


def from_engine(name: str, containers: Iterable[Json], networks: Iterable[Json]) -> Project:
    """Read what runs: ``docker inspect`` of the project's containers and of the networks that are its own."""
    read = tuple(running_service(one) for one in containers)
    ids = {one["Id"] for one in containers}
    own = tuple(Network(one["Name"], others=len(set(one.get("Containers") or {}) - ids)) for one in networks)
    return Project(name, read, own)


def running_service(inspected: Json) -> Service:
    """Read one container."""
    config, host = inspected["Config"], inspected["HostConfig"]
    labels: dict[str, str] = config.get("Labels") or {}
    mode = str(host["NetworkMode"])
    special = mode in {"host", "none"} or mode.startswith("container:")
    bindings: dict[str, list[Json] | None] = host.get("PortBindings") or {}
    mounts: list[Json] = inspected.get("Mounts") or []
    healthcheck: Json = config.get("Healthcheck") or {}
    check: list[str] = healthcheck.get("Test") or []
    after = labels.get("com.docker.compose.depends_on", "")  # service:condition:restart,...
    return Service(
        name=labels.get("com.docker.compose.service") or inspected["Name"].lstrip("/"),
        networks=() if special else tuple(inspected["NetworkSettings"]["Networks"]),
        mode=mode if special else "",
        ports=tuple(one for port, found in bindings.items() for one in bound(port, found)),
        environment=environment(config.get("Env"), inspected["Name"]),
        checked=bool(check) and check != ["NONE"],
        needs=tuple(one.split(":")[0] for one in after.split(",") if one),
        memory=bool(host.get("Memory")),
        pids=(host.get("PidsLimit") or 0) > 0,
        privileged=bool(host.get("Privileged")),
        engine_socket=any(str(one.get("Source")).endswith("docker.sock") for one in mounts),
    )


def bound(port: str, bindings: list[Json] | None) -> list[Port]:
    """Read the bindings of one container port such as ``80/tcp``."""
    return [Port(one.get("HostIp") or EVERYWHERE, int(port.partition("/")[0])) for one in bindings or []]


# --- a release of ours


def from_release(release: Json) -> Project:
    """Read what we declare; policy that every container gets is the engine's part (see engine.py)."""
    services = tuple(
        Service(
            name=name,
            networks=tuple(spec["networks"]),
            ports=tuple(Port(one["host_ip"], one["container_port"]) for one in spec["ports"]),
            environment=spec["environment"],
            checked=True,  # a declaration without a healthcheck is refused
            needs=tuple(spec["after"]),
            memory=spec["memory"] > 0,
            pids=spec["pids"] > 0,
        )
        for name, spec in release["containers"].items()
    )
    return Project(release["project"], services, tuple(map(Network, release["networks"])))
