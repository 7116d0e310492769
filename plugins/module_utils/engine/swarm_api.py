# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The Swarm of a Docker Engine, asked and changed over the engine's socket. The Docker SDK is not needed.

The source is the Docker Engine API reference, version 1.44 and later. A token, by which a node joins, leaves this file
only in the answer of ``tokens``, and no message holds one.
"""

from __future__ import annotations

import base64
import http.client
import ipaddress
import json
import time
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict
from urllib.parse import quote

from ansible_collections.sse.platform.plugins.module_utils.engine.api import SOCKET, RefusedError, ask
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import (
    NodeFact,
    ObservedService,
    SwarmFact,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json
    from typing_extensions import NotRequired  # for the type checker only: Python 3.10 does not have it

ANSWER_SECONDS = 30  # an engine waits up to 20 s for a manager that it joins
TRIES = 5  # of a change, while the Swarm notes something of what is changed
BEHIND = "update out of sequence"  # moby/swarmkit, manager/state/store
DONE = (http.client.OK, http.client.CREATED, http.client.NO_CONTENT)
ObjectKind = Literal["configs", "secrets"]
# What a task is to become where it is replaced, and where its service shall have fewer, or none.
ENDS = frozenset({"shutdown", "remove"})
HAS_A_PROCESS = frozenset({"starting", "running"})  # the first one until its health check passes


# --- what the engine answers: only the keys that are read here


class _Version(TypedDict):
    Index: int


class _Versioned(TypedDict):
    Version: _Version
    Spec: Json


class _NodeSpec(TypedDict, total=False):
    Labels: dict[str, str] | None
    Role: str
    Availability: str


class _EngineDescription(TypedDict, total=False):
    EngineVersion: str


class _Description(TypedDict, total=False):
    Hostname: str
    Engine: _EngineDescription


class _NodeStatus(TypedDict, total=False):
    State: str
    Addr: str


class _ManagerStatus(TypedDict, total=False):
    Leader: bool
    Reachability: str
    Addr: str


class Node(TypedDict):
    """One entry of ``GET /nodes``."""

    ID: str
    Version: _Version
    Spec: _NodeSpec
    Description: _Description
    Status: _NodeStatus
    ManagerStatus: NotRequired[_ManagerStatus | None]


class _UpdateStatus(TypedDict, total=False):
    State: str
    Message: str
    StartedAt: str


class Service(TypedDict):
    """One entry of ``GET /services``, or ``GET /services/{id}``."""

    ID: str
    Version: _Version
    Spec: Json
    PreviousSpec: NotRequired[Json | None]  # what a rollback brings back
    UpdateStatus: NotRequired[_UpdateStatus | None]


class _TaskStatus(TypedDict, total=False):
    State: str
    Message: str
    Err: str


class Task(TypedDict):
    """One entry of ``GET /tasks``."""

    ID: str
    ServiceID: str
    CreatedAt: str
    DesiredState: str
    Status: _TaskStatus
    NodeID: NotRequired[str]


class _ObjectSpec(TypedDict):
    Name: str
    Labels: NotRequired[dict[str, str] | None]


class Object(TypedDict):
    """One entry of ``GET /configs`` or ``GET /secrets``."""

    ID: str
    Spec: _ObjectSpec


class _RemoteManager(TypedDict):
    Addr: str


class _ClusterInfo(TypedDict, total=False):
    ID: str


class _Local(TypedDict, total=False):
    NodeID: str
    NodeAddr: str
    LocalNodeState: str
    ControlAvailable: bool
    Error: str
    RemoteManagers: list[_RemoteManager] | None
    Cluster: _ClusterInfo | None


class Tokens(NamedTuple):
    """By which a node joins, as one or the other."""

    worker: str
    manager: str


class SwarmApi(NamedTuple):
    """The Swarm behind the socket of one engine.

    Each question raises RefusedError where the engine refuses it, and OSError where no engine answers.
    """

    socket: str = SOCKET

    def local(self) -> SwarmFact:
        """Say what this engine is in a Swarm, and, on a manager, what the nodes are."""
        return self._with_nodes(self.own())

    def looked_at(self) -> SwarmFact:
        """Say the same where the managers agree on nothing, too: it has their reason then, and no nodes."""
        found = self.own()
        try:
            return self._with_nodes(found)
        except RefusedError as error:
            return {**found, "error": error.message}

    def _with_nodes(self, found: SwarmFact) -> SwarmFact:
        return {**found, "nodes": [node_fact(one) for one in self.nodes()] if found["manager"] else []}

    def own(self) -> SwarmFact:
        """Say what this engine is in a Swarm by itself, without the nodes."""
        local: _Local = json.loads(self._ask("GET", "/info")).get("Swarm") or {}
        return {
            "state": local.get("LocalNodeState") or "inactive",
            "error": local.get("Error") or "",
            "id": (local.get("Cluster") or {}).get("ID", ""),
            "node": local.get("NodeID") or "",
            "address": local.get("NodeAddr") or "",
            "manager": bool(local.get("ControlAvailable")),
            "managers": [one["Addr"] for one in local.get("RemoteManagers") or []],
            "nodes": [],
        }

    def init(self, address: str) -> None:
        """Make a Swarm of which this engine is the first manager.

        :param address: of this host, by which the others reach it
        """
        self._ask(
            "POST", "/swarm/init", {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": address, "DataPathAddr": address}
        )

    def join(self, address: str, managers: list[str], token: str) -> None:
        """Join a Swarm.

        :param address: of this host, by which the others reach it
        :param managers: address:port of some managers
        """
        wanted = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": address, "DataPathAddr": address}
        self._ask("POST", "/swarm/join", {**wanted, "RemoteAddrs": managers, "JoinToken": token})

    def tokens(self) -> Tokens:
        """Return what a node joins by. Only a manager knows it."""
        known = json.loads(self._ask("GET", "/swarm"))["JoinTokens"]
        return Tokens(known["Worker"], known["Manager"])

    def nodes(self) -> list[Node]:
        """List the nodes. Only a manager knows them."""
        return json.loads(self._ask("GET", "/nodes"))

    def change_node(self, node: str, role: str, labels: Mapping[str, str], availability: str = "") -> None:
        """Give a node its role and all its labels.

        :param availability: active, pause or drain; empty: it stays
        """
        more = {"Availability": availability} if availability else {}
        self._update(f"/nodes/{node}", lambda spec: {**spec, "Role": role, "Labels": dict(labels), **more})

    def remove_node(self, node: str) -> None:
        """Take a node that is down out of the list; its labels go with it."""
        self._ask("DELETE", f"/nodes/{node}")

    def leave(self) -> None:
        """Take this engine out of its Swarm. A manager refuses that."""
        self._ask("POST", "/swarm/leave")

    def services(self) -> list[ObservedService]:
        """List the services with what runs of them."""
        services: list[Service] = json.loads(self._ask("GET", "/services"))
        tasks: list[Task] = json.loads(self._ask("GET", "/tasks"))
        return [observed(one, [task for task in tasks if task["ServiceID"] == one["ID"]]) for one in services]

    def running_on(self, node: str) -> list[str]:
        """Return the names of the services that have a task on a node which has not ended."""
        services: list[Service] = json.loads(self._ask("GET", "/services"))
        tasks: list[Task] = json.loads(self._ask("GET", "/tasks"))
        there = {task["ServiceID"] for task in tasks if task.get("NodeID") == node and not _has_ended(task)}
        return sorted(one["Spec"]["Name"] for one in services if one["ID"] in there)

    def wanted_tasks(self) -> set[str]:
        """Return the ids of the tasks that run and are to go on. Only a manager knows them."""
        tasks: list[Task] = json.loads(self._ask("GET", "/tasks"))
        return {
            one["ID"] for one in tasks if one["DesiredState"] == "running" and one["Status"].get("State") == "running"
        }

    def objects_in_use(self) -> set[str]:
        """Return the names of the configs and secrets that a service has, or had before its last update."""
        services: list[Service] = json.loads(self._ask("GET", "/services"))
        specs = [one for service in services for one in (service["Spec"], service.get("PreviousSpec")) if one]
        containers: list[Json] = [one.get("TaskTemplate", {}).get("ContainerSpec", {}) for one in specs]
        used: set[str] = set()
        for container in containers:
            configs: list[Json] = container.get("Configs") or []
            secrets: list[Json] = container.get("Secrets") or []
            used |= {one["ConfigName"] for one in configs} | {one["SecretName"] for one in secrets}
        return used

    def create(self, request: Json) -> None:
        """Make a service."""
        self._ask("POST", "/services/create", request)

    def change(self, service: str, request: Json, *, force: bool = False) -> None:
        """Give a service another request. Its tasks are replaced one after the other where that is necessary.

        :param force: replace them although nothing differs
        :raises RefusedError: also where somebody else changed it meanwhile
        """

        def wanted(spec: Json) -> Json:
            # A number that counts these; any other number than the last one replaces the tasks.
            forced = spec.get("TaskTemplate", {}).get("ForceUpdate", 0) + force
            return {**request, "TaskTemplate": {**request["TaskTemplate"], "ForceUpdate": forced}}

        self._update(f"/services/{service}", wanted)

    def _update(self, path: str, wanted: Callable[[Json], Json]) -> None:
        """Change a node or a service as its spec is now.

        The Swarm counts what it notes of it, too, such as that its engine came back or that an update ended. So a
        change that comes behind such a note is asked for again.

        :raises RefusedError: also where somebody else changed the spec meanwhile
        """
        first: _Versioned = json.loads(self._ask("GET", path))
        found, asked = first, wanted(first["Spec"])
        for left in reversed(range(TRIES)):
            try:
                self._ask("POST", f"{path}/update?version={found['Version']['Index']}", asked)
            except RefusedError as error:
                if not left or BEHIND not in error.message:
                    raise
                found = json.loads(self._ask("GET", path))
                if found["Spec"] == asked:  # a manager that hands it to the leader may do that twice
                    return
                if found["Spec"] != first["Spec"]:
                    raise
            else:
                return

    def remove(self, service: str) -> None:
        """Remove a service. Its tasks end after that."""
        self._ask("DELETE", f"/services/{service}")

    def left(self, services: Collection[str]) -> set[str]:
        """Return which of these services, by id, have tasks that have not ended, although they may be removed."""
        tasks: list[Task] = json.loads(self._ask("GET", "/tasks"))
        return {task["ServiceID"] for task in tasks if task["ServiceID"] in services and not _has_ended(task)}

    def remove_network(self, network: str) -> None:
        """Remove a network; the tasks of services that were just removed may be on it for some seconds."""
        until = time.monotonic() + ANSWER_SECONDS
        while True:
            try:
                self._ask("DELETE", f"/networks/{network}")
            except RefusedError as error:
                if time.monotonic() > until or error.status == http.client.NOT_FOUND:
                    raise
                time.sleep(0.5)
            else:
                return

    def objects(self, kind: ObjectKind, label: str) -> dict[str, str]:
        """Return the configs or secrets that have a label (``key=value``): the id of each by its name."""
        listed: list[Object] = json.loads(self._ask("GET", f"/{kind}?filters={_filter(label)}"))
        return {one["Spec"]["Name"]: one["ID"] for one in listed}

    def make_object(self, kind: ObjectKind, name: str, content: bytes, labels: Mapping[str, str]) -> str:
        """Make a config or a secret; return its id."""
        data = base64.b64encode(content).decode()
        made = self._ask("POST", f"/{kind}/create", {"Name": name, "Labels": dict(labels), "Data": data})
        return json.loads(made)["ID"]

    def remove_object(self, kind: ObjectKind, identity: str) -> None:
        """Remove a config or a secret; the engine refuses that while a service uses it."""
        self._ask("DELETE", f"/{kind}/{identity}")

    def _ask(self, method: str, path: str, body: Any = None) -> bytes:
        return ask(self.socket, method, path, body, seconds=ANSWER_SECONDS, done=DONE)


def _has_ended(task: Task) -> bool:
    return task["Status"].get("State") in {"complete", "failed", "shutdown", "rejected", "orphaned", "remove"}


def _filter(label: str) -> str:
    return quote(json.dumps({"label": [label]}))


def node_fact(node: Node) -> NodeFact:
    """Describe a node."""
    manager = node.get("ManagerStatus") or {}
    address = node["Status"].get("Addr") or ""
    if not address or not _reachable(address):  # what a manager says of itself
        address = manager.get("Addr", "").rpartition(":")[0]
    return {
        "id": node["ID"],
        "name": node["Description"].get("Hostname", ""),
        "role": node["Spec"].get("Role", ""),
        "availability": node["Spec"].get("Availability", ""),
        "state": node["Status"].get("State", "unknown"),
        "address": address,
        "engine": (node["Description"].get("Engine") or {}).get("EngineVersion", ""),
        "labels": node["Spec"].get("Labels") or {},
        "leader": bool(manager.get("Leader")),
        "reachable": manager.get("Reachability", "") == "reachable",
    }


def _reachable(address: str) -> bool:
    """Tell whether an address means one host to all others."""
    read = ipaddress.ip_address(address)
    return not (read.is_unspecified or read.is_loopback)


def observed(service: Service, tasks: list[Task]) -> ObservedService:
    """Describe a service by what it was asked for and by its tasks."""
    spec = service["Spec"]
    update = service.get("UpdateStatus") or {}
    live = [task for task in tasks if task["DesiredState"] in {"running", "ready"}]
    running: dict[str, int] = {}
    waits: list[str] = []
    for task in live:
        state = task["Status"].get("State", "")
        if state == "running" and task["DesiredState"] == "running":
            node = task.get("NodeID", "")
            running[node] = running.get(node, 0) + 1
        else:
            waits.append(task["Status"].get("Err") or task["Status"].get("Message") or state)
    ending = sum(task["DesiredState"] in ENDS and task["Status"].get("State") in HAS_A_PROCESS for task in tasks)
    failure = last_error(tasks, update.get("StartedAt", ""))
    if failure and (waits or not running):
        waits.append(failure)
    replicated = spec.get("Mode", {}).get("Replicated")
    wanted = replicated.get("Replicas", 1) if replicated else len({task.get("NodeID") for task in live})
    return ObservedService(
        name=spec["Name"],
        id=service["ID"],
        labels=spec.get("Labels") or {},
        request=spec,
        wanted=wanted,
        running=running,
        waits=list(dict.fromkeys(waits)),
        update=update.get("State", ""),
        message=update.get("Message", ""),
        begun=update.get("StartedAt", ""),
        ending=ending,
        failure=failure,
    )


def last_error(tasks: list[Task], since: str) -> str:
    """Return why the newest task that failed did so; empty where none did.

    :param since: when the last update began; what was made before says nothing of it
    """
    ended = {"failed", "rejected", "complete"}
    failed = [task for task in tasks if task["Status"].get("State") in ended and task["CreatedAt"] >= since]
    newest = max(failed, key=lambda task: task["CreatedAt"], default=None)
    if newest is None:
        return ""
    # The engine stops a task that does not become healthy, and a program may take that for a good end.
    ends = "a task ended by itself, or was not healthy in time" if newest["Status"].get("State") == "complete" else ""
    return newest["Status"].get("Err") or ends or newest["Status"].get("Message") or "failed"
