# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The data that flows through the platform: settings, declarations, specs, releases, and the facts about a host.

These are plain dictionaries, because JSON and YAML carry them between the controller, the managed host and the release
store. A key that is NotRequired may be absent, for instance in an older release.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

Json = dict[str, Any]  # what JSON or YAML holds before a parser has read it

NetworkLayout = Literal["single", "segmented"]
Segment = Literal["network", "app", "data", "monitoring", "ports"]
Tier = Literal["entry", "replicas", "data", "watchers"]


class Settings(TypedDict):
    """The settings that Python code reads. Roles read many more."""

    app_replicas: int
    app_retention_bytes: int
    app_retention_seconds: int
    deployment: Literal["host", "swarm"]
    backup_schedule: str
    deployment_address: str
    docker_package_source: Literal["distribution", "docker"]
    docker_restart_allowed: bool
    docker_start_at_boot: Literal["none", "auto", "cron", "rc.local", "wsl"]
    docker_userland_proxy: bool
    exposure_allow_from: list[str]
    exposure_profile: Literal["development", "production"]
    images_archive: str
    images_debian_mirror: str
    images_debian_suite: str
    images_registry_ca: str
    images_registry_password_file: str
    images_registry_prefix: str
    images_registry_username: str
    images_source: Literal["auto", "registry", "archive", "bundle", "packages"]
    kafka_remote_servers: list[str]
    network_encrypted: bool
    network_gateway: str
    network_ip_range: str
    network_ipv6: bool
    network_ipv6_subnet: str
    network_layout: NetworkLayout
    network_name: str
    network_overlap_allowed: bool
    network_recreate_allowed: bool
    network_segment_subnets: dict[str, str]
    network_subnet: str
    prometheus_retention_size: str
    redis_remote_server: str
    services_extra: dict[str, Any]
    stack_name: str
    stack_offset: int
    stack_secrets: dict[str, str]
    stack_state_directory: str


# --- what a service declares


class PublishedPort(TypedDict):
    """One TCP port of a container that the host publishes on one of its addresses."""

    host_ip: str
    host_port: int
    container_port: int


class Reach(TypedDict):
    """One connection that a container may make: ``name:port``, and the reason."""

    to: str
    why: str


class SecretFile(TypedDict):
    """A file that holds a secret: its name, and the text around it (``{}`` is the value, ``{sha256}`` its hash)."""

    secret: str
    format: str


class RouteDeclaration(TypedDict):
    """Paths that NGINX passes on to containers of a service."""

    path: str
    containers: list[str]
    port: int
    strip: bool
    streams: list[str]
    heartbeat_seconds: int | None
    offers: str | None
    sockets: dict[str, str]
    socket_group: int | None
    publishes: list[str]
    publish_seconds: int | None
    max_body_bytes: int | None
    reserves: list[str]
    farewell: str | None


SecretKind = Literal["password", "uuid-base64", "certificate", "certificate-key", "given"]


class Secret(TypedDict):
    """A declared secret: how it is made, whose it is, and who else may read it."""

    kind: SecretKind
    service: str
    readers: list[str]  # services
    bytes: int  # length of a password
    pair: str  # a certificate's key, or the certificate of a key
    given: NotRequired[bool]  # a certificate of the user's: what the host made itself does not count
    names: NotRequired[list[str]]  # of a certificate that the host makes, beside the names of the host itself
    overlap: NotRequired[bool]  # its readers accept several lines, of which the first is the newest
    kept: NotRequired[str]  # why it cannot be rotated; empty where it can
    least: NotRequired[int]  # characters of a value that somebody gives


class HttpCheck(TypedDict):
    """The request of a health check that the host makes: any answer of 2xx is healthy."""

    port: int
    path: str


class HealthCheck(TypedDict):
    """How a container is asked whether it is healthy: by the engine with a command inside it, by this host over HTTP.

    Without an HTTP request, the host runs the command too. Times are in seconds.
    """

    command: list[str] | None
    http: HttpCheck | None
    interval: int
    timeout: int
    retries: int
    start: int


class OldProcesses(TypedDict):
    """The processes that only serve the connections from before a reload."""

    title: str  # what their title holds, and that of no other process
    generations: int  # how many reloads may have some


class Reload(TypedDict):
    """How a service reads its config and secrets anew while it runs, and which program says whether they are valid.

    It gets a signal, or a program of its role tells it. Older releases have none of the last three keys.
    """

    check: list[str]  # the command that checks the files, in a throwaway container of the same image
    signal: str  # to the container's first process
    says: str  # what it writes to its log once the new files count
    old_processes: OldProcesses | None
    program: NotRequired[str]  # Python: makes the files count in the running container, and verifies it
    takes: NotRequired[list[str]]  # the directories that this program can make count; others need a new container
    at_start: NotRequired[bool]  # whether the program is needed when the container has started, too
    looks: NotRequired[bool]  # whether the program can also say what differs in the running container


class _Container(TypedDict):
    image: str
    aliases: list[str]
    entrypoint: list[str]
    command: list[str]
    user: str  # uid:gid
    environment: dict[str, str]
    config: dict[str, dict[str, str]]  # directory -> file -> content
    secrets: dict[str, dict[str, SecretFile]]  # directory -> file
    live_secrets: dict[str, dict[str, SecretFile]]  # as secrets; a running container reads these anew
    data: dict[str, str]  # directory in the container -> directory below the container's data on the host
    binds: dict[str, str]  # path in the container -> path on the host, read-only
    tmpfs: dict[str, int]  # directory -> bytes
    ports: list[PublishedPort]
    memory: int  # bytes
    pids: int
    cpu_shares: NotRequired[int]  # its share of the processors against others that want them, too; 1024 is usual
    open_files: int
    init: bool
    healthcheck: HealthCheck
    stop_signal: str
    stop_timeout: int  # seconds
    capabilities: list[str]
    read_only: bool
    sysctls: dict[str, str]
    group_add: list[str]
    after: list[str]
    rolling: bool
    listens: list[int]
    reaches: list[Reach]
    reaches_host: list[int]  # ports of services on the host itself
    reload: NotRequired[Reload | None]
    ways_out: NotRequired[list[str]]  # host:port outside of the stack; in segments it reaches no others
    # Directory in the container -> name of a directory on the host that all containers of this user have in common.
    shared: NotRequired[dict[str, str]]
    farewell: NotRequired[dict[str, str]]  # container whose streams end with this one -> the signal that says so
    tier: NotRequired[Tier | None]  # where pictures of the stack show it; None where its connections tell
    each_host: NotRequired[bool]  # each host of a cluster runs one


class Declaration(_Container):
    """One container as its role declares it, checked: short names, and the host number as its address."""

    name: str | None
    address: int | None
    segments: list[Segment]
    hosts: list[str]


class Spec(_Container):
    """One container as the engine is asked for it: full names, addresses, bytes."""

    container: str  # short name
    service: str
    networks: dict[str, str]  # network -> reserved IPv4 address; empty where the engine chooses one
    networks6: NotRequired[dict[str, str]]  # network -> reserved IPv6 address, where the networks have IPv6
    hosts: dict[str, str]  # name -> address, for /etc/hosts
    image_id: NotRequired[str | None]  # known on the host alone
    fingerprints: NotRequired[dict[str, str | None]]  # of its secrets; known on the host alone


# --- networks and releases


class Pool(TypedDict):
    """The addresses of a network in one IP family, in CIDR notation; the engine chooses within ``ip_range``."""

    subnet: str
    gateway: str
    ip_range: str


class Network(Pool):
    """One bridge network that the stack needs."""

    name: str
    driver: str
    internal: bool
    device: str  # the bridge on the host
    segment: Segment
    ipv6: NotRequired[Pool]
    encrypted: NotRequired[bool]  # between the hosts of a Swarm


class OwnBridge(Network):
    """The network that one container which publishes ports has for itself, and the container's addresses on it."""

    address: str
    address6: NotRequired[str]


class Endpoint(TypedDict, total=False):
    """A name and a URL that people open, and the container behind it."""

    name: str
    url: str
    container: str


class Watch(TypedDict):
    """What a canary is judged by: a Prometheus expression, and the limit of a good value."""

    service: str
    name: str
    expr: str
    above: float | None
    below: float | None


class Check(TypedDict):
    """One check that a service declares of its containers, by short name; its kind knows the parameters."""

    service: str
    kind: str
    containers: list[str]
    parameters: Json


class Elsewhere(TypedDict):
    """What containers use that runs outside of the stack, on somebody else's servers."""

    service: str
    name: str  # as people call it
    servers: list[str]  # host:port
    part: NotRequired[str]  # what is used there, such as a topic; earlier releases do not say it
    containers: list[str]  # short names of those that connect to it
    why: str
    program: str  # Python for the standard library: asks whether it is as they need it (host/elsewhere.py)
    asks: Json  # for this program
    secrets: dict[str, str]  # names of secrets, by what the program calls them
    keeps: str  # data that are there alone; empty for none
    instead_of: str  # the container that keeps them where nothing elsewhere does
    move: str  # the setting that lets them stay behind, at either place


class KeptData(TypedDict):
    """Data of a container whose format matters: which settings they fit, and which version of a program writes them."""

    container: str  # full name
    directory: str
    fits: dict[str, str]  # setting -> value; one without a value is left out
    writes: str  # a later version writes what an earlier one may not be able to read; empty where that is not known
    copies: NotRequired[int]  # how many containers have them, where that is more than one


# What watches a canary gets its name, its spec, and the gate of the rollout, which it asks meanwhile.
CanaryWatch = Callable[[str, Spec, Callable[[], None]], None]
ReleaseOutcome = Literal["applying", "failed", "applied"]


class Meta(TypedDict, total=False):
    """Who made a release, when, from which commit, and what came of it. Compared with nothing."""

    who: str
    when: str
    commit: str
    note: str  # why, or the release that it brought back
    outcome: ReleaseOutcome


class RunMeta(TypedDict):
    """Who asked for a run, and what for. The action `settings` finds it out on the controller."""

    asked: str  # the verb and what follows it
    who: str
    where: str  # the controller, and from where its user came by SSH
    when: str
    commit: str
    why: str
    given: dict[str, Any]  # by -e, or by `./sse scale`; the value is null where it is not to be shown
    # Of a run for some services: which settings of this run and of those before, given so, make a difference to them.
    concerned: NotRequired[list[str]]
    back_to: NotRequired[int]  # of a rollback: the release that comes back


AttemptOutcome = Literal["running", "applied", "failed", "interrupted"]


class AttemptChange(TypedDict):
    """What a run did to one container."""

    container: str
    kind: ActionKind
    reasons: list[str]
    seconds: float


class Attempt(RunMeta):
    """One run in the history."""

    run: str  # the process and when it began
    before: int  # the release of the stack when the run began
    after: int
    changes: list[AttemptChange]
    others: list[str]  # changes that are not about one container
    seconds: float
    outcome: AttemptOutcome
    error: str  # the first line of why it failed


class Release(TypedDict):
    """Every declaration of one project as plain data."""

    format: int
    stack: str
    project: str
    layout: NetworkLayout
    networks: dict[str, Network]  # by name
    allow_from: list[str]
    containers: dict[str, Spec]  # by full name
    unavailable: dict[str, str]  # short name -> reason
    endpoints: list[Endpoint]
    # Older releases have none of these:
    checks: NotRequired[list[Check]]
    secrets: NotRequired[dict[str, Secret]]  # by name
    data: NotRequired[list[KeptData]]
    elsewhere: NotRequired[list[Elsewhere]]
    unlimited: NotRequired[dict[str, list[str]]]  # by full name of a container, the settings of limits that are off


class StoredRelease(Release):
    """A release in the release store, where it has a number."""

    number: int
    meta: Meta


# --- what a host shows


class Distribution(TypedDict):
    """The operating system, from /etc/os-release."""

    id: str
    version: str
    codename: str


class EngineTraits(TypedDict):
    """In what an engine may differ from an ordinary one. The preflight judges it."""

    product: str  # Docker, or what the engine calls itself
    operating_system: str  # as the engine calls it
    os_type: str
    same_kernel: bool  # whether it runs on this host's kernel; one in a virtual machine does not
    program: str  # path of dockerd; empty where its process is not seen
    config_file: str
    flags: list[str]  # the options of its command line, by their names in the configuration file
    options: Json  # its configuration file and its command line together
    security: list[str]  # names such as seccomp, rootless, userns
    storage_driver: str
    default_runtime: str
    runtimes: list[str]
    proxied: bool  # whether the engine pulls images through a proxy
    forwards: bool  # whether the kernel passes IPv4 packets on between networks
    selinux_enforces: bool  # whether the kernel enforces the rules of SELinux
    lost_limits: list[str]  # limits of containers that this kernel does not keep
    nftables: bool  # whether the engine writes rules for nftables, which call no chain of others


class MountFact(TypedDict):
    """A file system of the host."""

    place: str  # where it is mounted
    type: str  # as the kernel calls it; drvfs for a disk of Windows in WSL2
    read_only: bool
    no_exec: bool  # no program on it can be started, and no library loaded


class SocketFact(TypedDict):
    """What is at the path of the engine's socket."""

    kind: Literal["absent", "socket", "directory", "other", "dangling"]
    target: str  # where the path leads to in the end
    answers: bool  # whether somebody gave an answer there, even one that no Docker Engine gives


class Surroundings(TypedDict):
    """What else on a host decides where commands and libraries of Docker go."""

    socket: SocketFact
    variables: dict[str, str]  # DOCKER_HOST and its like, as this run or who started it has them; without passwords
    context: str  # the context that the docker command uses; empty for the default one
    dockerd_user: int  # the user id that dockerd has; 0 where it is not seen
    sdk_problem: str  # why the Docker SDK that Python finds cannot be used


class EngineFact(TypedDict):
    """The Docker Engine that runs on the host."""

    version: str
    api_version: str
    stable_ip6tables: bool  # it needs no experimental features for ip6tables
    live_restore: bool
    userland_proxy: bool
    swarm: str  # inactive, active, locked, error, pending
    swarm_error: str
    root_dir: str
    log_driver: str
    managed: bool  # installed by role docker
    sdk: bool
    traits: NotRequired[EngineTraits]


class NetworkFact(Pool):
    """One network of the engine."""

    name: str
    id: str
    driver: str
    subnets: list[str]
    ipv6: Pool | None
    internal: bool
    labels: dict[str, str]
    device: str
    containers: list[str]
    encrypted: NotRequired[bool]  # of an overlay


class PortFact(TypedDict):
    """One port that a running container publishes."""

    host_ip: str
    host_port: int
    protocol: str


class ContainerFact(TypedDict):
    """One container of the engine."""

    name: str
    image: NotRequired[str]  # as it was asked for
    labels: dict[str, str]
    ports: list[PortFact]
    state: str


class Interface(TypedDict):
    """A network interface and its addresses in CIDR notation."""

    name: str
    addresses: list[str]


class Route(TypedDict):
    """A route: destination in CIDR notation, device, and the number of the protocol that made it."""

    destination: str
    device: str
    protocol: int


class ListenerFact(TypedDict):
    """A listening socket of the host, and the process that holds it; empty where it cannot be seen."""

    protocol: str
    address: str
    port: int
    process: str


BootMethod = Literal["wsl", "cron", "rc.local"]


class BootFact(TypedDict):
    """How a host without a service manager can start the engine at boot."""

    present: list[BootMethod]  # those that do so now
    usable: list[BootMethod]  # those that this host has, the best one first
    conflicts: dict[BootMethod, str]  # why one cannot be used


class KeptStack(TypedDict):
    """What the newest releases of the stack on a host say of where data are."""

    containers: list[str]  # full names of those with data
    elsewhere: list[Elsewhere]  # without their programs


class HostFacts(TypedDict):
    """One look at a host, before anything changes."""

    name: NotRequired[str]  # as it calls itself
    names: NotRequired[list[str]]  # the same with longer forms, such as host.example.org
    distribution: Distribution
    architecture: str
    service_manager: Literal["systemd", "init", "none"]
    start_at_boot: BootFact
    is_root: bool
    memory_bytes: int
    cores: NotRequired[int]  # that this run, and so the engine, may use
    overcommit_memory: int
    overcommit_writable: bool
    bridge_filter: Literal["on", "off", "loadable", "none"]
    firewall: str
    firewall6: str
    ipv6: bool
    ipv6_routes_lost: list[str]
    ssh_client: str
    dockerd: str
    dockerd_pid: int | None
    daemon_json: Json | None
    engine: EngineFact | None
    engine_error: str
    surroundings: NotRequired[Surroundings]
    networks: list[NetworkFact]
    interfaces: list[Interface]
    routes: list[Route]
    uplink_mtu: int
    listeners: list[ListenerFact]
    containers: list[ContainerFact]
    images: dict[str, str]  # reference -> id
    data_markers: dict[str, dict[str, str]]  # directory of data -> what its meta.properties says
    data_links: NotRequired[dict[str, str]]  # what is a link in place of a directory of data -> where it leads
    backup_timer: bool  # whether a timer on this host makes backups of the stack
    disk_free_bytes: dict[str, int]
    disk_free_inodes: NotRequired[dict[str, int]]
    disk_size_bytes: NotRequired[dict[str, int]]
    state_mount: NotRequired[MountFact]  # where the state directory is, or will be
    clock_ahead: NotRequired[float]  # seconds before the clock of the controller, as far as that is certain
    registry_answers: NotRequired[bool]
    kept: NotRequired[KeptStack]
    last_given: NotRequired[dict[str, Any]]  # what the last run got for itself alone; null for what can hold a secret


# --- a plan

RepairKind = Literal["connect", "disconnect", "names", "update", "write", "tell", "restart"]
ActionKind = Literal[
    "keep", "mend", "reload", "create", "replace", "start", "restart", "remove", "restore", "rename", "clear"
]
