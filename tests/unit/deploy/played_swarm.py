"""A Swarm that a stand-in plays: a manager of two nodes with its state directory, and a release for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy.swarm_rollout import (
    SwarmReport,
    SwarmRequest,
    SwarmRollout,
)
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import Cluster
from ansible_collections.sse.platform.plugins.module_utils.releases.history import run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GROUPS: Any = {"managers": ["a"], "edge": ["a"], "app": ["a", "b"], "data": ["b"]}
ADDRESSES = {"a": "192.0.2.1", "b": "192.0.2.2"}
NETWORK: Any = {"name": "sse-network", "subnet": "10.99.0.0/24", "gateway": "10.99.0.1", "segment": "network"}


def container(short: str, **changes: Any) -> dict[str, Any]:
    declared = {"image": "i:1", "entrypoint": ["run"], "user": "7:8", "healthcheck": {"command": ["true"]}, **changes}
    one: dict[str, Any] = {**spec.parse(declared, "x"), "container": short, "service": "s", "aliases": [short]}
    return {**one, "networks": {"sse-network": ""}, "hosts": {}}


def release(*containers: dict[str, Any]) -> Any:
    password = {"kind": "password", "service": "s", "readers": [], "bytes": 24, "pair": "", "kept": ""}
    return {
        "format": 3,
        "stack": "sse",
        "project": "p",
        "layout": "single",
        "allow_from": [],
        "networks": {"sse-network": NETWORK},
        "containers": {f"sse-{one['container']}": one for one in containers},
        "secrets": {"pw": password},
    }


class StandIn:
    """A manager of two nodes whose services run at once, unless they are to fail."""

    def __init__(self) -> None:
        self.labels: dict[str, dict[str, str]] = {"a": {}, "b": {}}
        self.roles = {"a": "manager", "b": "worker"}
        self.shown: dict[str, ObservedService] = {}
        self.made: dict[tuple[str, str], bytes] = {}
        self.fails = ""
        self.manager = True
        self.used: set[str] = set()
        self.available = {"a": "active", "b": "active"}
        self.gone: set[str] = set()
        self.removed: list[str] = []
        self.ending: dict[str, int] = {}  # how often a service that was removed still has tasks
        self.engine = Engine()
        self.stays: set[str] = set()  # services that do not end with their host
        self.remove_network: Callable[[str], None]

    def local(self) -> Any:
        nodes = [
            {
                "id": host,
                "name": host,
                "role": self.roles[host],
                "address": address,
                "labels": self.labels[host],
                "state": "down" if host in self.gone else "ready",
                "availability": self.available[host],
                "reachable": True,
            }
            for host, address in ADDRESSES.items()
            if host not in self.removed
        ]
        return {"state": "active", "manager": self.manager, "nodes": nodes if self.manager else []}

    def change_node(self, node: str, role: str, labels: dict[str, str], availability: str) -> None:
        self.roles[node], self.labels[node] = role, labels
        self.available[node] = availability
        for name in self.running_on(node) if availability == "drain" else []:
            if name not in self.stays:
                there = {one: 1 for one in self.shown[name].running if one != node}
                self.shown[name] = self.shown[name]._replace(running=there)

    def running_on(self, node: str) -> list[str]:
        return [name for name, one in self.shown.items() if node in one.running]

    def remove_node(self, node: str) -> None:
        self.removed.append(node)

    def services(self) -> list[ObservedService]:
        return list(self.shown.values())

    def create(self, request: dict[str, Any]) -> None:
        self.show(request, "")

    def change(self, __: str, request: dict[str, Any], *, force: bool = False) -> None:
        assert not force
        self.show(request, f"{len(json.dumps(request))} at {request['Labels']['sse.platform.release']}")

    def show(self, request: dict[str, Any], begun: str) -> None:
        name = request["Name"]
        update = "rollback_completed" if name == self.fails else "completed" if begun else ""
        container = request["TaskTemplate"]["ContainerSpec"]
        self.used |= {one["ConfigName"] for one in container.get("Configs", [])}
        self.used |= {one["SecretName"] for one in container.get("Secrets", [])}
        self.shown[name] = ObservedService(
            name, name, request["Labels"], request, 1, {self.node(request): 1}, [], update, "task failed", begun
        )

    def node(self, request: dict[str, Any]) -> str:
        """Return the node of a service: the one that it is held to, or where it is."""
        asked = request["TaskTemplate"]["Placement"]["Constraints"]
        held = [one.partition(" == ")[2] for one in asked if one.startswith("node.id")]
        found = self.shown.get(request["Name"])
        return held[0] if held else next(iter(found.running)) if found else "b"

    def remove(self, service: str) -> None:
        del self.shown[service]
        self.ending = {service: 2}

    def left(self, services: Any) -> set[str]:
        self.ending = {name: looks - 1 for name, looks in self.ending.items() if looks > 1}
        return set(self.ending) & set(services)

    def objects(self, kind: str, __: str) -> dict[str, str]:
        return {name: f"{one}/{name}" for one, name in self.made if one == kind}

    def make_object(self, kind: str, name: str, content: bytes, __: dict[str, str]) -> str:
        self.made[kind, name] = content
        return f"{kind}/{name}"

    def objects_in_use(self) -> set[str]:
        return self.used

    def remove_object(self, kind: str, identity: str) -> None:
        del self.made[kind, identity.split("/")[1]]


class Engine:
    """An engine with the networks that were made there."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []

    def networks(self) -> list[dict[str, Any]]:
        return [{**one, "Id": f"id-{one['Name']}"} for one in self.made]

    def remove_network(self, identity: str) -> None:
        self.made = [one for one in self.made if f"id-{one['Name']}" != identity]

    def make_network(self, wanted: dict[str, Any]) -> None:
        self.made.append(wanted)


class Stand:
    """A manager with its state directory."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.swarm = str(directory), StandIn()
        self.engine = self.swarm.engine
        self.groups = GROUPS
        self.swarm.remove_network = self.engine.remove_network

    def request(self, wanted: Any, **changes: Any) -> SwarmRequest:
        cluster = Cluster(self.groups, self.directory)
        return SwarmRequest([wanted], cluster, ADDRESSES, {}, **{"meta": run_meta({"who": "me"}), **changes})

    def rollout(self, wanted: Any, **changes: Any) -> SwarmRollout:
        return SwarmRollout(self.request(wanted, **changes), self.swarm, self.engine)  # type: ignore[arg-type]

    def run(self, wanted: Any, **changes: Any) -> SwarmReport:
        report = SwarmReport()
        self.rollout(wanted, **changes).run(report)
        return report

    def numbers(self) -> list[tuple[int, str]]:
        return [(one["number"], one["meta"].get("outcome", "")) for one in ReleaseStore(self.directory, "p").all()]


FULL = release(
    container("a", config={"/etc": {"x": "1"}}, live_secrets={"/run/l": {"key": {"secret": "pw"}}}),
    container("k", data={"/d": "d"}, secrets={"/run/s": {"key": {"secret": "pw"}}}),
)
