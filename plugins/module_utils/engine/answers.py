# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the Docker Engine answers, as types: only the keys that this collection reads.

The source is the Docker Engine API reference, from version 1.41 on. Where the engine may write null for an empty list
or map, the type of the key is ``X | None``. Keys that the engine may omit are in a class that is not total.
"""

from __future__ import annotations

import datetime as dt
from typing import Literal, TypedDict, get_args

from ansible_collections.sse.platform.plugins.module_utils.model.observed import Joined, Observed, Present

ExtraLimit = Literal[
    "NanoCpus",
    "CpuPeriod",
    "CpuQuota",
    "CpuRealtimePeriod",
    "CpuRealtimeRuntime",
    "CpusetCpus",
    "CpusetMems",
    "BlkioWeight",
    "MemoryReservation",
]
# Limits that `docker update` sets and cannot take away again, and that no spec asks for. Where nobody set one, it is 0
# or empty with both versions of cgroups, and an engine that does not know it leaves it out.
EXTRA_LIMITS: tuple[ExtraLimit, ...] = get_args(ExtraLimit)

Condition = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


# --- the engine itself


class _Component(TypedDict, total=False):
    Name: str


class _VersionParts(TypedDict, total=False):
    Components: list[_Component] | None  # of a Docker Engine, one is called Engine


class Version(_VersionParts):
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
    MemoryLimit: bool  # whether the kernel keeps this limit; so are the next three
    SwapLimit: bool
    PidsLimit: bool
    CPUShares: bool
    OperatingSystem: str
    OSType: str
    KernelVersion: str
    SecurityOptions: list[str] | None  # such as name=seccomp,profile=default
    Driver: str  # of storage
    DefaultRuntime: str
    Runtimes: dict[str, object] | None
    IPv4Forwarding: bool
    HttpProxy: str
    HttpsProxy: str


# --- containers


class Binding(TypedDict):
    """An address and a port of the host that a container's port is published on."""

    HostIp: str
    HostPort: str


class _WantedAddresses(TypedDict, total=False):
    IPv4Address: str
    IPv6Address: str


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
    PrivatePort: int  # of the container
    Type: str  # the protocol


class ListedPort(_ListedPort, total=False):
    """A port of a container in the list; without ``PublicPort`` it is not published."""

    IP: str
    PublicPort: int


class _ListedNetworks(TypedDict):
    Networks: dict[str, Endpoint] | None


class _ListedMode(TypedDict):
    NetworkMode: str  # a network, or container:<id> where it uses the network namespace of another container


class _ListedContainer(TypedDict):
    Id: str
    Names: list[str] | None  # each begins with a slash
    Labels: dict[str, str] | None
    State: Condition
    Status: str  # for people, such as "Up 3 minutes (healthy)"
    Image: str
    Ports: list[ListedPort] | None
    NetworkSettings: _ListedNetworks


class ListedContainer(_ListedContainer, total=False):
    """One entry of ``GET /containers/json``."""

    HostConfig: _ListedMode


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


class _RestartPolicy(TypedDict):
    Name: str


class _Limits(TypedDict, total=False):
    NanoCpus: int
    CpuPeriod: int
    CpuQuota: int
    CpuRealtimePeriod: int
    CpuRealtimeRuntime: int
    CpusetCpus: str
    CpusetMems: str
    BlkioWeight: int
    MemoryReservation: int


class HostConfig(_Limits):
    """What a container was created with that concerns the host."""

    NetworkMode: str
    PortBindings: dict[str, list[Binding] | None] | None  # by port and protocol, such as "80/tcp"
    Memory: int  # bytes; 0 is no limit
    MemorySwap: int  # bytes of memory and swap; -1 is no limit
    PidsLimit: int | None
    RestartPolicy: _RestartPolicy
    CpuShares: int
    Privileged: bool


class _Mount(TypedDict):
    Source: str  # path on the host
    Destination: str  # path in the container


class _NetworkSettings(TypedDict):
    Networks: dict[str, Endpoint] | None
    Ports: dict[str, list[Binding] | None] | None  # by port and protocol


class _Paths(TypedDict, total=False):
    HostsPath: str  # the file of the host that is /etc/hosts in the container; empty before its first start


class Inspected(_Paths):
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


ENCRYPTED = "encrypted"  # the option of an overlay


class Encryption(TypedDict, total=False):
    """What an overlay that is encrypted between the hosts has, and no other network."""

    encrypted: bool


def encryption(network: InspectedNetwork) -> Encryption:
    """Return whether a network is an overlay that is encrypted."""
    options = network["Options"] or {}
    is_set = network["Driver"] == "overlay" and options.get(ENCRYPTED, "false").lower() not in {"false", "0", "f"}
    return {"encrypted": True} if is_set else {}


class ListedImage(TypedDict):
    """One entry of ``GET /images/json``, or ``GET /images/{name}/json``."""

    Id: str
    RepoTags: list[str] | None
    RepoDigests: list[str] | None
    Created: float  # seconds since the epoch; as text where one image is inspected
    Labels: dict[str, str] | None


class _Descriptor(TypedDict):
    digest: str


class RegistryImage(TypedDict):
    """``GET /distribution/{name}/json``: what a registry has under a reference."""

    Descriptor: _Descriptor


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


def present(inspected: Inspected, lost_mounts: frozenset[str], *, stays_down: bool = False) -> Present:
    """Read what can change on a container that exists.

    :param lost_mounts: paths in the container whose directory on the host is gone
    :param stays_down: whether the engine would not start it again
    """
    host, state = inspected["HostConfig"], inspected["State"]
    extra = {name: host.get(name) for name in EXTRA_LIMITS}
    return Present(
        networks={name: joined(one, inspected["Id"]) for name, one in all_networks(inspected).items()},
        limits={
            "memory": host["Memory"],
            "memory_swap": host["MemorySwap"],
            "pids": host["PidsLimit"] or 0,
            "restart": host["RestartPolicy"]["Name"],
            "cpu_shares": host.get("CpuShares", 0),
        },
        extra_limits={name: value for name, value in extra.items() if value},
        started=seconds(state["StartedAt"]) if state["Running"] else 0,
        lost_mounts=lost_mounts,
        stays_down=stays_down,
    )


def joined(endpoint: Endpoint, container: str) -> Joined:
    """Read a container's place on a network; before Engine 25 its aliases hold the beginning of its id, too."""
    asked = endpoint.get("IPAMConfig") or {}
    return Joined(
        network_id=endpoint["NetworkID"],
        address=asked.get("IPv4Address", ""),
        address6=asked.get("IPv6Address", ""),
        aliases=frozenset(endpoint["Aliases"] or []) - {container[:12]},
    )


def seconds(time: str) -> float:
    """Read a time of the engine (RFC 3339, with up to nine digits of a second) as seconds since the epoch."""
    whole, __, fraction = time.rstrip("Z").partition(".")
    read = dt.datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=dt.timezone.utc)
    return read.timestamp() + float(f"0.{fraction or 0}")


def all_networks(inspected: Inspected) -> dict[str, Endpoint]:
    """Return a container's place on each of its networks, by name, also where it does not run."""
    return inspected["NetworkSettings"]["Networks"] or {}


def addresses(inspected: Inspected, key: Literal["IPAddress", "GlobalIPv6Address"] = "IPAddress") -> dict[str, str]:
    """Return a running container's address on each of its networks, by the network's name."""
    return {name: one[key] for name, one in all_networks(inspected).items() if one.get(key)}
