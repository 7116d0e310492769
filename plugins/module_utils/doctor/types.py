# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The facts that the rules judge, and what a rule is: it takes the facts about one host, and it returns findings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy.host_side import Lost
from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Info
from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Rules
from ansible_collections.sse.platform.plugins.module_utils.host.served_certificate import ServedCertificate
from ansible_collections.sse.platform.plugins.module_utils.model import types as model
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.published_ports import Publication

if TYPE_CHECKING:
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

THE_HOST = "host"  # the source of a connection that no container makes, but the host itself


class WantedNetwork(model.Pool):
    """The network that the settings ask for."""

    name: str
    overlap_allowed: bool


class Options(TypedDict):
    """Which host to look at, and what its settings ask for."""

    stack: str
    state_directory: str
    network: WantedNetwork
    bind: str  # the address of the host for the public ports
    public_ports: list[int]
    clock: str  # the time of the controller (RFC 3339); empty where it is not known
    several: NotRequired[bool]  # whether the host is one of a cluster, whose containers are tasks of a Swarm


class ListedEndpoint(NamedTuple):
    """An endpoint that the engine lists for a network: the name of its container, and an IPv4 address."""

    name: str
    address: str


class DoctorNetwork(model.NetworkFact):
    """One network of the engine."""

    ours: bool  # it carries the label of the stack
    scope: str
    mtu: int  # bytes; 0 where the network does not name one
    masquerade: bool
    icc: bool  # whether its containers may connect to each other
    endpoints: dict[str, ListedEndpoint]  # by the id of the container


class Endpoint(TypedDict):
    """The endpoint of a container on one network, as the engine lists it for the container."""

    id: str  # of the network
    address: str
    address6: str
    wanted_address: str
    aliases: list[str]


class Inside(TypedDict):
    """What the network namespace of a running container shows."""

    listening: list[tuple[str, int]]  # address and TCP port
    interfaces: list[model.Interface]
    mtu: dict[str, int]  # bytes, by interface
    dns: str  # why the DNS server of the engine does not answer; empty where it does
    hosts: dict[str, str]  # IPv4 address by name, from /etc/hosts
    rules: Rules | None  # of iptables; read only where a connection failed


class Container(TypedDict):
    """One container of the engine."""

    name: str
    id: str
    labels: dict[str, str]
    ours: bool  # it carries the label of the stack
    status: str
    running: bool
    stays_down: bool  # its restart policy no longer holds, because somebody sent it a signal with docker kill
    pid: int
    program: str  # the name of its first process
    exit_code: int
    error: str
    health: str
    health_log: str  # the end of what the last health check printed
    mode: str  # such as "host" or "default"
    networks: dict[str, Endpoint]
    wanted: list[Publication]  # the published ports that it asks for
    published: list[Publication]  # the published ports that it has
    host_ports: list[int]  # ports of host.docker.internal that its environment names
    inside: Inside | None


class Disk(NamedTuple):
    """The room on one file system; inodes are 0 where it does not count them."""

    path: str
    bytes: int
    bytes_free: int
    inodes: int
    inodes_free: int


class FirewallState(NamedTuple):
    """The stack firewall: its chain, whether its rules are in place, and the script that puts them there, if any."""

    chain: str
    in_place: bool
    script: str
    guarded: bool = True  # whether a container is kept from the servers on the host's 127.0.0.1
    bypass: str = ""  # how connections pass without the chain being asked


class TriedConnection(NamedTuple):
    """One connection that was tried, from a container or from the host."""

    source: str
    target: str  # the full name of the container that should answer; empty where it is not known
    name: str  # what the source calls the target
    port: int | None  # None: only the name was resolved
    addresses: list[str]
    failed: str  # resolve, connect or http; empty where every step succeeded
    error: str


class TriedPort(NamedTuple):
    """One published port that was tried on the host; the error is empty where it answers."""

    container: str
    published: Publication
    error: str


class Clock(NamedTuple):
    """How many seconds the clock of a container is ahead of the clock of the host, from an HTTP answer."""

    container: str
    port: int
    ahead: float


class RefusedUpstream(NamedTuple):
    """An address that a proxy could not connect to, from its own log."""

    container: str
    address: str
    port: str
    error: str


class Told(NamedTuple):
    """One problem that a service says it has, or that a container has with what it uses elsewhere."""

    container: str
    problem: str
    url: str  # where it says so; empty for a problem with what is elsewhere
    mend: str = ""  # a command; without one, its log is shown


class Facts(Options):
    """Everything that the rules judge. Times are in seconds since the epoch."""

    host: model.HostFacts
    now: float
    controller: float | None
    kernel: str  # its release
    ip_forward: str  # "0", "1", or empty where the kernel does not have this switch
    bridge_nf_call_iptables: str
    disks: list[Disk]
    mtu: dict[str, int]  # bytes, by interface of the host
    info: Info
    engine_started: float
    daemon_json_changed: float  # 0 where there is no such file
    networks: list[DoctorNetwork]
    containers: list[Container]
    rules: Rules | None  # of iptables; None where they cannot be read
    releases: Sequence[model.Release]
    releases_error: str
    damaged_release: str  # the file that cannot be read; empty where there is none
    unplugged: dict[str, dict[str, str]]  # of containers of the stack: networks that they do not reach, with the reason
    host_side: list[Lost]  # what the engine keeps on the host for the stack's networks, and is gone
    firewall: FirewallState | None  # None where no release is there, or the engine's firewall has no place for it
    connections: list[TriedConnection]
    ports: list[TriedPort]
    clocks: list[Clock]
    refused_upstreams: list[RefusedUpstream]
    certificates: list[ServedCertificate]
    told: list[Told]


Rule = Callable[[Facts], Iterator[Finding]]
