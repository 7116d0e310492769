# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A project of containers, as far as its networking goes: read from what an engine runs, or from a release."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.answers import all_networks
from ansible_collections.sse.platform.plugins.module_utils.model.elsewhere import of_releases, place
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, WILDCARDS
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import receivers

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import (
        Inspected,
        InspectedNetwork,
    )
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec

DEFAULT_BRIDGE = "bridge"  # the engine's own network, which has no DNS
# Who may write to one of these is root on the host; a mount of a directory above it brings it, too.
ENGINE_SOCKETS = ("docker.sock", "podman.sock", "containerd.sock")
ABOVE = ("/", "/run", "/var/run", "/run/containerd", "/run/podman")


class ProjectError(ValueError):
    """There is no such project, or its file is not understood. The message names the place."""


@dataclass(frozen=True)
class Port:
    """A published port, or a range of them."""

    host_ip: str
    container_port: int
    last: int = 0  # of a range; 0: it is one port
    published: str = ""  # the port or range of the host; empty: the engine chooses one, or nobody said
    protocol: str = "tcp"

    @property
    def everywhere(self) -> bool:
        """Tell whether it is published on every address of the host."""
        return self.host_ip in WILDCARDS

    @property
    def container_ports(self) -> range:
        """Return every port of the container."""
        return range(self.container_port, max(self.last, self.container_port) + 1)

    def __str__(self) -> str:
        """Return it as a finding shows it."""
        first, last = self.container_ports[0], self.container_ports[-1]
        text = str(first) if first == last else f"{first}-{last}"
        kind = "" if self.protocol == "tcp" else f"/{self.protocol}"
        return text + kind

    @property
    def where(self) -> str:
        """Say where the host publishes it."""
        same = self.published in {"", str(self).partition("/")[0]}
        return self.host_ip if same else f"{self.host_ip} as {self.published}"


@dataclass(frozen=True)
class Service:
    """One container, or one service of a Compose file."""

    name: str
    networks: tuple[str, ...] = ()
    mode: str = ""  # network_mode where it is no network: host, none, container:...
    ports: tuple[Port, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    checked: bool = False  # it has a health check
    needs: tuple[str, ...] = ()  # services that it starts after
    memory: bool = False  # it has a memory limit
    pids: bool = False  # it has a limit of processes
    privileged: bool = False
    engine_socket: bool = False  # it mounts the socket of the Docker Engine
    unlimited: tuple[str, ...] = ()  # settings of limits for its clients that are off
    profiles: tuple[str, ...] = ()  # it only starts with one of these profiles of Compose; empty: always


@dataclass(frozen=True)
class Network:
    """One network of the project."""

    name: str
    explicit: bool = True  # its name does not come from the name of a directory
    others: int = 0  # containers of other projects on it


@dataclass(frozen=True)
class Project:
    """What is audited."""

    name: str
    services: tuple[Service, ...]
    networks: tuple[Network, ...]
    notes: tuple[str, ...] = ()  # what is not known of it, and advice about how its file is written


def variables(pairs: Iterable[str]) -> dict[str, str]:
    """Read an environment that is a list of ``NAME=value``."""
    return {name: value for name, __, value in (pair.partition("=") for pair in pairs)}


def from_engine(name: str, containers: Iterable[Inspected], networks: Iterable[InspectedNetwork]) -> Project:
    """Read the containers of a project, as ``docker inspect`` shows them, and the networks that the project made."""
    containers = list(containers)
    ids = {one["Id"] for one in containers}
    own = tuple(Network(one["Name"], others=len(set(one.get("Containers") or ()) - ids)) for one in networks)
    return Project(name, tuple(map(running_service, containers)), own)


def running_service(inspected: Inspected) -> Service:
    """Read one container."""
    config, host = inspected["Config"], inspected["HostConfig"]
    labels = config["Labels"] or {}
    mode = host["NetworkMode"]
    special = mode in {"host", "none"} or mode.startswith("container:")
    check = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    after = labels.get("com.docker.compose.depends_on", "")  # service:condition:restart,...
    return Service(
        name=labels.get("com.docker.compose.service") or inspected["Name"].lstrip("/"),
        networks=() if special else tuple(all_networks(inspected)),
        mode=mode if special else "",
        ports=tuple(
            Port(
                one["HostIp"] or IPV4.wildcard,
                int(port.partition("/")[0]),  # such as 80/tcp
                published=one.get("HostPort", ""),
                protocol=port.partition("/")[2] or "tcp",
            )
            for port, bindings in (host["PortBindings"] or {}).items()
            for one in bindings or ()
        ),
        environment=variables(config["Env"] or ()),
        checked=check != ["NONE"],
        needs=tuple(one.split(":")[0] for one in after.split(",") if one),
        memory=host["Memory"] > 0,
        pids=(host["PidsLimit"] or 0) > 0,
        privileged=host["Privileged"],
        engine_socket=any(holds_socket(one["Source"]) for one in inspected["Mounts"] or ()),
    )


def holds_socket(source: str) -> bool:
    """Tell whether what a container mounts of the host brings the socket of an engine with it, also read-only."""
    return source.endswith(ENGINE_SOCKETS) or (source.rstrip("/") or source[:1]) in ABOVE


def from_release(release: Release) -> Project:
    """Read what the platform declares. A declaration without a health check is refused, so every container has one."""
    services = tuple(
        Service(
            name=name,
            networks=tuple(spec["networks"]),
            ports=tuple(Port(one["host_ip"], one["container_port"]) for one in spec["ports"]),
            environment=inside(spec),
            checked=True,
            needs=tuple(spec["after"]),
            memory=spec["memory"] > 0,
            pids=spec["pids"] > 0,
            unlimited=tuple(release.get("unlimited", {}).get(name, ())),
        )
        for name, spec in release["containers"].items()
    )
    sends = [
        f"{name} sends alerts out of this host, to {', '.join([*asked['people'], *asked['others']])} (alerts_to)"
        for name, asked in kinds.of_kind([release], receivers.KIND.name)
    ]
    sends += [
        f"{', '.join(one['containers'])} send data out of this host, to {place(one)}, to {one['why']}"
        for __, one in of_releases([release])
    ]
    return Project(release["project"], services, tuple(map(Network, release["networks"])), notes=tuple(sends))


def inside(spec: Spec) -> dict[str, str]:
    """Return the environment of a container without the servers outside of the stack: their addresses are given."""
    ways = set(spec.get("ways_out", []))
    known = ways | {way.rpartition(":")[0] for way in ways}
    return {name: value for name, value in spec["environment"].items() if not known.issuperset(value.split(","))}
