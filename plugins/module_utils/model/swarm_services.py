# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""From a release to the services of a Docker Swarm. Pure: specs of containers in, requests for the engine's API out.

Nothing is declared for a Swarm alone: what a container is says where and how often it runs. A Swarm has words for most
of a spec, and what it has none for is refused here, or named in ``left_out``.
"""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict, TypeVar

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Json,
        Network,
        Release,
        SecretFile,
        Spec,
    )

DirectoryKind = Literal["config", "secrets", "data", "shared", "bind"]
# The groups of the inventory, and "every" for all of their hosts.
Group = Literal["managers", "edge", "app", "data", "every"]
GROUPS: tuple[Group, ...] = ("managers", "edge", "app", "data")
EVERY: Group = "every"
# What serves people: without a host for it, the platform is away.
SERVING: tuple[Group, ...] = ("edge", "app")
# Of networks, objects and the containers of tasks. What a single host does by the label of its stack leaves them alone.
SWARM_LABEL = f"{LABEL}swarm-stack"
GROUP_LABEL = f"{LABEL}group."  # of a node, with stack and group behind it
HOLDS_LABEL = f"{LABEL}holds."  # of the one node that has the data of a service, with the service's name behind it

SECOND = 10**9  # the engine counts in nanoseconds
RESTART_SECONDS, MONITOR_SECONDS = 1, 5
LONGEST_WAIT = 60  # seconds
LOG_DRIVER: Json = {"Name": "json-file", "Options": {"max-size": "10m", "max-file": "3"}}
# The store of a Swarm takes no larger one (moby/swarmkit, manager/controlapi).
LARGEST_CONFIG = 1000 * 1024
EMPTY_BYTES = 64 * 1024  # of a directory that has nothing but the places of configs and secrets
RELOADED = "now"  # the directory below that of a service for the files that it reads anew
LONGEST_NAME = 64  # of a config or a secret


class SwarmFile(TypedDict):
    """A config or a secret of the Swarm: a text, or the secret that the host keeps, at one path in a container."""

    path: str
    text: str | None
    secret: SecretFile | None


class NodeDirectory(TypedDict):
    """A directory that a host needs before a task runs there, and what is in it."""

    kind: DirectoryKind
    source: str  # on the host
    target: str  # in the container
    user: str
    texts: dict[str, str]  # of the files in it, by their names
    secrets: dict[str, SecretFile]


class SwarmService(NamedTuple):
    """One service of the Swarm: one container of the release, once, or once on each host of a group.

    So every name of the declarations is a name in the DNS of the Swarm, too.
    """

    name: str  # of the container, in full
    group: Group  # the hosts that may run it
    pinned: bool  # it has data, so one host holds it
    together: str  # what it is a replica of; empty for one that is alone
    first: int  # the wave in which it is made
    wave: int  # the wave in which it is changed: programs of roles run on the hosts between two waves
    request: Json  # as ``POST /services/create`` takes it, but for the ids of networks, configs and secrets
    files: dict[str, SwarmFile]  # configs and secrets, by the name that holds the hash of their content
    directories: list[NodeDirectory]
    left_out: list[str]  # for each wish of the spec that a Swarm has no word for: its place, a colon, a sentence

    @property
    def is_global(self) -> bool:
        """Tell whether every host of its group runs it."""
        return "Global" in self.request["Mode"]

    @property
    def moves(self) -> bool:
        """Tell whether any host of its group may run it."""
        return not self.pinned and not self.is_global

    @property
    def keeps_copies(self) -> bool:
        """Tell whether other services keep copies of its data, each on a host of its own."""
        return self.pinned and bool(self.together)

    @property
    def fingerprint(self) -> str:
        """Return a hash of all that the engine is asked for (16 hex digits), without the labels of the release."""
        return hashlib.sha256(json.dumps(self.request, sort_keys=True).encode()).hexdigest()[:16]


class Cluster(NamedTuple):
    """What the services need to know of the hosts."""

    hosts: Mapping[Group, list[str]]
    state_directory: str
    open_files: int = 0  # the most that every engine allows; 0 is no limit


def services(release: Release, cluster: Cluster) -> list[SwarmService]:
    """Return the Swarm services of a release, in the order of its containers.

    :raises spec.SpecError: for what a Swarm cannot run
    """
    if any("ipv6" in network for network in release["networks"].values()):
        raise spec.SpecError("network_ipv6 is true: the overlay of a Swarm has IPv4 alone here; expected false")
    containers = release["containers"]
    edge = {directory for one in containers.values() if _is_edge(one) for directory in _shared(one)}
    found = [
        _Builder(release, cluster, name, one, edge).build(*wave)
        for (name, one), wave in zip(containers.items(), _waves(containers), strict=True)
    ]
    _refuse_apart(found)
    return found


def left_out(services: list[SwarmService]) -> list[str]:
    """Return what a Swarm leaves out, one sentence each, with the services that it is about."""
    found: dict[str, list[str]] = {}
    for service in services:
        for sentence in service.left_out:
            found.setdefault(sentence.partition(": ")[2], []).append(service.name)
    return [f"{', '.join(dict.fromkeys(names))}: {what}" for what, names in found.items()]


def hosts_of(group: Group, hosts: Mapping[Group, list[str]]) -> list[str]:
    """Return the hosts of a group."""
    if group == EVERY:
        return list(dict.fromkeys(host for one in GROUPS for host in hosts.get(one, ())))
    return list(hosts.get(group, ()))


def labelled(service: SwarmService, release: Release, number: int) -> Json:
    """Return the request with the labels by which a later run knows the service."""
    labels = {
        "stack": release["stack"],
        "project": release["project"],
        "release": str(number),
        "spec": service.fingerprint,
    }
    return {**copy.deepcopy(service.request), "Labels": {LABEL + key: value for key, value in labels.items()}}


def group_label(stack: str, group: Group) -> str:
    """Return the label of the nodes that may run what a stack has for a group."""
    return f"{GROUP_LABEL}{stack}.{group}"


def holds_label(name: str) -> str:
    """Return the label of the node that holds the data of a service."""
    return HOLDS_LABEL + name


def _waves(containers: Mapping[str, Spec]) -> list[tuple[int, int]]:
    """Return for each container the wave in which it is made, and the one in which it is changed.

    What serves others only after a program of its role is in an earlier wave than these. Replicas with data are made
    together, because they may need each other, and changed in waves of their own: the program says when one has what
    the others have.
    """
    found: dict[str, tuple[int, int]] = {}

    def of(name: str) -> tuple[int, int]:
        if name not in found:
            found[name] = (0, 0)  # where services wait for each other, which is told later
            members = _members(containers, name)
            before = {other for member in members for other in containers[member]["after"] if other in containers}
            known = [of(other)[1] + _needs_program(containers[other]) for other in before - set(members)]
            first = max(known, default=0)
            found.update({member: (first, first + number) for number, member in enumerate(members)})
        return found[name]

    return [of(name) for name in containers]


def _members(containers: Mapping[str, Spec], name: str) -> list[str]:
    """Return the replicas with data that a container is one of, if a program runs after each, or itself alone."""

    if not keeps_copies(containers[name]):
        return [name]
    service = containers[name]["service"]
    return [other for other, one in containers.items() if one["service"] == service and keeps_copies(one)]


def keeps_copies(one: Spec) -> bool:
    """Tell whether a container is a replica with data: a program says when it has what the others have."""
    return bool(one["rolling"] and one["data"]) and _needs_program(one)


def _needs_program(one: Spec) -> bool:
    """Tell whether a container serves others only after a program of its role."""
    reload = one.get("reload")
    return bool(reload and reload.get("program") and reload.get("at_start", True))


def _refuse_apart(found: list[SwarmService]) -> None:
    """Refuse services that have a directory of the host in common and may run on different hosts."""
    used = [(service, one) for service in found for one in service.directories]
    for owner, directory in used:
        if directory["kind"] not in {"shared", "data"}:
            continue
        place = PurePath(directory["source"])
        for other, one in used:
            path = PurePath(one["source"])
            if other is owner or (place != path and place not in path.parents):
                continue
            if not (owner.is_global and other.is_global):
                raise spec.SpecError(
                    f"{owner.name} and {other.name} have the directory {place} in common, and a Swarm may run them on "
                    "different hosts; expected services that connect over the network"
                )


def _shared(one: Spec) -> set[str]:
    return set(one.get("shared", {}).values())


def _is_edge(one: Spec) -> bool:
    """Tell whether a container is open to everybody, and keeps nothing."""
    return not one["data"] and not one["rolling"] and any(_is_public(port["host_ip"]) for port in one["ports"])


def is_internal(network: Network) -> bool:
    """Tell whether a network has no way out of it."""
    return bool(network.get("internal"))


def _is_public(address: str) -> bool:
    return not address or ipaddress.ip_address(address).is_unspecified


def _escaped(text: str) -> str:
    """Return a text that the Swarm's templates leave as it is (text/template of Go)."""
    return text.replace("{{", '{{"{{"}}')


class _Builder:
    """Builds the Swarm service of one container."""

    def __init__(self, release: Release, cluster: Cluster, name: str, one: Spec, edge: set[str]) -> None:
        self.release, self.cluster, self.name, self.spec = release, cluster, name, one
        self.place = f"{one['service']}.containers.{one['container']}"
        self.rolling = one["rolling"]
        self.edge = _is_edge(one) or bool(_shared(one) & edge)
        self.left_out: list[str] = []
        self.files: dict[str, SwarmFile] = {}
        self.directories: list[NodeDirectory] = []

    def build(self, first: int, wave: int) -> SwarmService:
        """Return the service; raises SpecError for what a Swarm cannot run."""
        self._refuse()
        container = self._container()
        order = "start-first" if self.rolling and not self.spec["data"] else "stop-first"
        policy: Json = {"Parallelism": 1, "Order": order, "MaxFailureRatio": 0}
        policy["Monitor"] = MONITOR_SECONDS * SECOND
        request: Json = {
            "Name": self.name,
            "Mode": {"Global": {}} if self.group in {"edge", EVERY} else {"Replicated": {"Replicas": 1}},
            "TaskTemplate": {
                "ContainerSpec": container,
                "Resources": {"Limits": {"MemoryBytes": self.spec["memory"], "Pids": self.spec["pids"]}},
                "RestartPolicy": {"Condition": "any", "Delay": RESTART_SECONDS * SECOND, "MaxAttempts": 0},
                "Placement": self._placement(),
                "LogDriver": LOG_DRIVER,
                "Networks": [{"Target": one, "Aliases": self._aliases()} for one in self.spec["networks"]],
            },
            "UpdateConfig": {**policy, "FailureAction": "rollback"},
            "RollbackConfig": {**policy, "FailureAction": "pause"},
            # Virtual addresses and the ingress network need IPVS in the kernel, and hide which task answers.
            "EndpointSpec": {"Mode": "dnsrr", "Ports": self._ports()},
        }
        return SwarmService(
            self.name, self.group, self.group == "data", self.spec["service"] if self.rolling else "", first, wave,
            request, self.files, self.directories, self.left_out,
        )  # fmt: skip

    @property
    def group(self) -> Group:
        """Say which hosts may run it."""
        if self.spec.get("each_host"):
            return EVERY
        if self.spec["data"]:
            return "data"
        return "edge" if self.edge else "app"

    def _refuse(self) -> None:
        if self.spec["reaches_host"]:
            raise spec.SpecError(
                f"{self.place}.reaches_host: port {self.spec['reaches_host'][0]} of its host, and a Swarm may run it "
                "on any of several; expected none, or a server elsewhere"
            )
        for index, port in enumerate(self.spec["ports"]):
            if self.edge and not _is_public(port["host_ip"]):
                raise spec.SpecError(
                    f"{self.place}.ports[{index}].host_ip: {port['host_ip']}, and a Swarm publishes a port on every "
                    "address of a host; expected 0.0.0.0"
                )
        networks = [self.release["networks"][name] for name in self.spec["networks"]]
        if any(_is_public(port["host_ip"]) for port in self.spec["ports"]) and all(map(is_internal, networks)):
            raise spec.SpecError(
                f"{self.place}.segments: on internal networks alone, where a Swarm publishes no port; add network, app "
                "or monitoring"
            )
        if self.rolling and any(_is_public(port["host_ip"]) for port in self.spec["ports"]):
            raise spec.SpecError(f"{self.place}.ports: two of its replicas may run on one host; expected none")

    def _aliases(self) -> list[str]:
        return list(dict.fromkeys(self.spec["aliases"]))

    def _container(self) -> Json:
        one = self.spec
        if set(one["hosts"]) - {spec.HOST}:
            self.left_out.append(f"{self.place}.hosts: without its engine it finds none, because addresses change")
        container: Json = {
            "Image": one["image"],
            "Labels": {
                SWARM_LABEL: self.release["stack"],
                LABEL + "service": one["service"],
                LABEL + "container": one["container"],
            },
            "Hostname": one["container"],
            "Command": one["entrypoint"],
            "Args": one["command"],
            "Env": [f"{key}={_escaped(value)}" for key, value in one["environment"].items()],
            "User": one["user"],
            "Groups": one["group_add"],
            "Privileges": {"NoNewPrivileges": True},
            "Init": one["init"],
            "StopSignal": one["stop_signal"],
            "StopGracePeriod": one["stop_timeout"] * SECOND,
            "ReadOnly": one["read_only"],
            "CapabilityDrop": ["ALL"],
            "CapabilityAdd": one["capabilities"],
            "Ulimits": self._ulimits(),
            "Sysctls": one["sysctls"],
            "Healthcheck": self._health(),
            "Mounts": self._mounts(),
        }
        container |= self._objects()
        return {key: value for key, value in container.items() if value not in ([], {})}

    def _ulimits(self) -> list[Json]:
        files = min(self.spec["open_files"], self.cluster.open_files or self.spec["open_files"])
        # In the order in which the docker command writes them back, so that no change by hand seems larger than it is.
        return [{"Name": name, "Soft": most, "Hard": most} for name, most in (("core", 0), ("nofile", files))]

    def _health(self) -> Json:
        check = self.spec["healthcheck"]
        if check["command"] is None:
            if self.rolling:
                raise spec.SpecError(
                    f"{self.place}.healthcheck.command: missing; a Swarm asks a replica by a command inside it, and "
                    "would replace the next one before this one works"
                )
            self.left_out.append(f"{self.place}.healthcheck: no command, so the Swarm does not ask whether it works")
            return {"Test": ["NONE"]}
        if check["interval"] > LONGEST_WAIT and not self.rolling:
            # Before the first check succeeds, after one interval, a Swarm gives its name to nobody, and waits for it.
            self.left_out.append(f"{self.place}.healthcheck: rare, so the Swarm does not ask whether it works")
            return {"Test": ["NONE"]}
        return {
            "Test": ["CMD", *check["command"]],
            "Interval": check["interval"] * SECOND,
            "Timeout": check["timeout"] * SECOND,
            "Retries": check["retries"],
            "StartPeriod": check["start"] * SECOND,
            # A Swarm waits for the first good answer before it goes on to the next task.
            "StartInterval": min(check["interval"], 3) * SECOND,
        }

    def _placement(self) -> Json:
        if self.group == "data":
            return {"Constraints": [f"node.labels.{holds_label(self.name)} == true"]}
        return {"Constraints": [f"node.labels.{group_label(self.release['stack'], self.group)} == true"]}

    def _ports(self) -> list[Json]:
        ports: list[Json] = []
        for one in self.spec["ports"]:
            if not _is_public(one["host_ip"]):
                self.left_out.append(
                    f"{self.place}.ports: a port for administrators is not published: a Swarm would open it on every "
                    "address"
                )
                continue
            ports.append(
                {
                    "Protocol": "tcp",
                    "TargetPort": one["container_port"],
                    "PublishedPort": one["host_port"],
                    "PublishMode": "host",
                }
            )
        return ports

    def _mounts(self) -> list[Json]:
        one, state = self.spec, self.cluster.state_directory
        for target, source in one["binds"].items():
            self._directory("bind", source, target)
        for target, below in one["data"].items():
            self._directory("data", f"{state}/data/{self.name}/{below}", target)
        for target, below in one.get("shared", {}).items():
            self._directory("shared", f"{state}/shared/{below}", target)
        for index, (target, secrets) in enumerate(one["live_secrets"].items()):
            self._directory("secrets", f"{state}/files/{self.name}/live-{index}", target, secrets=secrets)
        place = f"{state}/files/{self.name}/{RELOADED}"
        for index, (target, texts) in enumerate(one["config"].items()):
            if _is_read_anew(one, target):
                self._directory("config", f"{place}/config-{index}", target, texts=texts)
        for index, (target, secrets) in enumerate(one["secrets"].items()):
            if _is_read_anew(one, target):
                self._directory("secrets", f"{place}/secrets-{index}", target, secrets=secrets)
        mounts: list[Json] = [
            {
                "Type": "bind",
                "Source": directory["source"],
                "Target": directory["target"],
                "ReadOnly": directory["kind"] in {"bind", "config", "secrets"},
            }
            for directory in self.directories
        ]
        # The engine mounts them noexec, nosuid and nodev; 1777 is the mode of /tmp.
        mounts += [
            {"Type": "tmpfs", "Target": path, "TmpfsOptions": {"SizeBytes": size, "Mode": 0o1777}}
            for path, size in one["tmpfs"].items()
        ]
        # On one host, a directory holds what is declared and nothing of the image, whose own may be closed to the user.
        fixed = dict.fromkeys([*_fixed(one, one["config"]), *_fixed(one, one["secrets"])])
        options: Json = {"SizeBytes": EMPTY_BYTES, "Mode": 0o755}
        mounts += [{"Type": "tmpfs", "Target": path, "ReadOnly": True, "TmpfsOptions": options} for path in fixed]
        return mounts

    def _directory(
        self,
        kind: DirectoryKind,
        source: str,
        target: str,
        *,
        texts: dict[str, str] | None = None,
        secrets: dict[str, SecretFile] | None = None,
    ) -> None:
        place: NodeDirectory = {
            "kind": kind, "source": source, "target": target, "user": self.spec["user"], "texts": texts or {},
            "secrets": secrets or {},
        }  # fmt: skip
        self.directories.append(place)

    def _objects(self) -> Json:
        """Return the configs and secrets of the container, and keep what each of them holds.

        What it reads anew while it runs is in directories of its host.
        """
        one = self.spec
        configs: list[Json] = []
        secrets: list[Json] = []
        for path, text in _by_path(_fixed(one, one["config"])):
            if len(text.encode()) > LARGEST_CONFIG:
                raise spec.SpecError(
                    f"{self.place}.config.{path}: {len(text.encode())} bytes, and a Swarm keeps no larger config than "
                    f"{LARGEST_CONFIG}; expected a smaller file, or one that the image has"
                )
            name = self._keep({"path": path, "text": text, "secret": None}, text)
            configs.append({"ConfigName": name, "File": _target(path, one["user"], 0o444)})
        for path, secret in _by_path(_fixed(one, one["secrets"])):
            content = [secret, one.get("fingerprints", {}).get(secret["secret"])]
            name = self._keep({"path": path, "text": None, "secret": secret}, content)
            secrets.append({"SecretName": name, "File": _target(path, one["user"], 0o400)})
        return {"Configs": configs, "Secrets": secrets}

    def _keep(self, file: SwarmFile, content: object) -> str:
        """Name a file by its content, and keep it."""
        digest = hashlib.sha256(json.dumps([file["path"], content], sort_keys=True).encode()).hexdigest()[:16]
        name = f"{self.name[: LONGEST_NAME - len(digest) - 1]}-{digest}"
        self.files[name] = file
        return name


Content = TypeVar("Content")


def _is_read_anew(one: Spec, target: str) -> bool:
    """Tell whether a container reads the files of a directory again while it runs: all, or what a program takes."""
    reload = one.get("reload")
    return bool(reload) and (not reload.get("program") or target in reload.get("takes", []))


def _fixed(one: Spec, directories: Mapping[str, Content]) -> dict[str, Content]:
    """Return the directories whose files a container reads at its start alone."""
    return {target: files for target, files in directories.items() if not _is_read_anew(one, target)}


def _by_path(directories: Mapping[str, Mapping[str, Content]]) -> list[tuple[str, Content]]:
    """Return the files of all directories, each with its path in the container."""
    return [(f"{target}/{file}", content) for target, files in directories.items() for file, content in files.items()]


def _target(path: str, user: str, mode: int) -> Json:
    """Say where a config or a secret is in the container, and who may read it."""
    uid, gid = user.split(":")
    return {"Name": path, "UID": uid, "GID": gid, "Mode": mode}
