# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the Docker Engine answers, as types: only the keys that this collection reads.

The source is the Docker Engine API reference, from version 1.41 on. Where the engine may write null for an empty list
or map, the type of the key is ``X | None``. Keys that the engine may omit are in a class that is not total.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed

Condition = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


# --- the engine itself


class Version(TypedDict):
    """``GET /version``."""

    Version: str
    ApiVersion: str


class _Swarm(TypedDict, total=False):
    LocalNodeState: str
    Error: str


class _DefaultAddressPool(TypedDict):
    Base: str  # CIDR notation
    Size: int  # prefix length of a network that is taken from it


class Info(TypedDict, total=False):
    """``GET /info``."""

    DefaultAddressPools: list[_DefaultAddressPool] | None
    DockerRootDir: str
    FirewallBackend: object
    LiveRestoreEnabled: bool
    LoggingDriver: str
    Swarm: _Swarm | None


# --- containers


class Binding(TypedDict):
    """An address and a port of the host that a container's port is published on."""

    HostIp: str
    HostPort: str


class _WantedAddresses(TypedDict, total=False):
    IPv4Address: str


class Endpoint(TypedDict):
    """A container's place on one network; an address is empty while the container does not run."""

    NetworkID: str
    IPAddress: str
    GlobalIPv6Address: str
    Gateway: str
    IPv6Gateway: str
    Aliases: list[str] | None
    IPAMConfig: _WantedAddresses | None  # what it asked for


class _ListedPort(TypedDict):
    Type: str  # the protocol


class ListedPort(_ListedPort, total=False):
    """A port of a container in the list; without ``PublicPort`` it is not published."""

    IP: str
    PublicPort: int


class _ListedNetworks(TypedDict):
    Networks: dict[str, Endpoint] | None


class ListedContainer(TypedDict):
    """One entry of ``GET /containers/json``."""

    Id: str
    Names: list[str] | None  # each begins with a slash
    Labels: dict[str, str] | None
    State: Condition
    Status: str  # for people, such as "Up 3 minutes (healthy)"
    Ports: list[ListedPort] | None
    NetworkSettings: _ListedNetworks


class HealthCheckRun(TypedDict):
    """One run of a container's health check."""

    End: str  # RFC 3339, with nanoseconds
    ExitCode: int
    Output: str


class Health(TypedDict):
    """What the engine's health check found lately."""

    Status: Literal["none", "starting", "healthy", "unhealthy"]
    Log: list[HealthCheckRun] | None  # the newest is the last


class _State(TypedDict):
    Status: Condition
    Running: bool  # true for a paused container, too
    Paused: bool
    OOMKilled: bool
    Pid: int  # 0 where the container does not run
    ExitCode: int
    Error: str
    StartedAt: str  # RFC 3339, with nanoseconds


class State(_State, total=False):
    """How a container is; ``Health`` is there only where the container has a health check."""

    Health: Health | None


class _HealthCheckConfig(TypedDict, total=False):
    Test: list[str] | None


class _Config(TypedDict):
    Image: str
    Labels: dict[str, str] | None
    Env: list[str] | None  # NAME=value


class Config(_Config, total=False):
    """What a container was created with, apart from the host."""

    Healthcheck: _HealthCheckConfig | None


class HostConfig(TypedDict):
    """What a container was created with that concerns the host."""

    NetworkMode: str
    PortBindings: dict[str, list[Binding] | None] | None  # by port and protocol, such as "80/tcp"
    Memory: int  # bytes; 0 is no limit
    PidsLimit: int | None
    Privileged: bool


class _Mount(TypedDict):
    Source: str  # path on the host
    Destination: str  # path in the container


class _NetworkSettings(TypedDict):
    Networks: dict[str, Endpoint] | None
    Ports: dict[str, list[Binding] | None] | None  # by port and protocol


class Inspected(TypedDict):
    """``GET /containers/{id}/json``."""

    Id: str
    Name: str  # begins with a slash
    RestartCount: int
    State: State
    Config: Config
    HostConfig: HostConfig
    Mounts: list[_Mount] | None
    NetworkSettings: _NetworkSettings


# --- networks and images


class AddressPool(TypedDict, total=False):
    """One address pool of a network, in CIDR notation."""

    Subnet: str
    Gateway: str
    IPRange: str


class _Ipam(TypedDict, total=False):
    Config: list[AddressPool] | None


class _Member(TypedDict):
    Name: str
    IPv4Address: str  # CIDR notation


class _InspectedNetwork(TypedDict):
    Id: str
    Name: str
    Driver: str
    Scope: str
    Internal: bool
    Labels: dict[str, str] | None
    Options: dict[str, str] | None
    IPAM: _Ipam | None


class InspectedNetwork(_InspectedNetwork, total=False):
    """``GET /networks/{id}``, or one entry of ``GET /networks``, which tells no members."""

    Containers: dict[str, _Member] | None  # those that run, by id


class ListedImage(TypedDict):
    """One entry of ``GET /images/json``, or ``GET /images/{name}/json``."""

    Id: str
    RepoTags: list[str] | None
    RepoDigests: list[str] | None


# --- what is read of them


def name_of(container: ListedContainer) -> str:
    """Return the name of a container in the list; empty while the engine removes it."""
    return (container["Names"] or [""])[0].lstrip("/")


def networks_of(container: ListedContainer) -> dict[str, Endpoint]:
    """Return the networks of a container in the list, by name."""
    return container["NetworkSettings"]["Networks"] or {}


def from_listing(listing: list[ListedContainer]) -> list[Observed]:
    """Read the engine's list of containers, which costs one question for all of them."""
    return [
        Observed(
            name=name_of(entry),
            id=entry["Id"],
            labels=entry["Labels"] or {},
            status=entry["State"],
            health=health_of(entry["Status"]),
        )
        for entry in listing
        if entry["Names"]
    ]


def health_of(status: str) -> str:
    """Read a container's health from the status text of the list, such as ``Up 3 minutes (healthy)``."""
    for word, health in (("(healthy)", "healthy"), ("(unhealthy)", "unhealthy"), ("(health: starting)", "starting")):
        if status.endswith(word):
            return health
    return ""


def addresses(inspected: Inspected, key: Literal["IPAddress", "GlobalIPv6Address"] = "IPAddress") -> dict[str, str]:
    """Return a running container's address on each of its networks, by the network's name."""
    networks = inspected["NetworkSettings"]["Networks"] or {}
    return {name: one[key] for name, one in networks.items() if one.get(key)}
