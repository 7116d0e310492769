# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Carry out a plan over the services of a Swarm, on a manager: nodes, overlay, objects, then service after service.

The Swarm replaces a task itself, gated on its health, and goes back by itself. What is left here is the order, replicas
one after the other, to wait for the end of each, and to say why one did not get there.
"""

from __future__ import annotations

import contextlib
import graphlib
import time
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError, unasked
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout_control import AbortedError
from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.model import connections, swarm_placement, swarm_services
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_plan import (
    STOPPED,
    only_moves,
    remade,
    set_free,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from collections.abc import Set as AbstractSet

    from ansible_collections.sse.platform.plugins.module_utils.deploy.node_files import NodeFiles
    from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import InspectedNetwork
    from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
    from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import ObjectKind, SwarmApi
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import CanaryWatch, Json, Network, Release

BEGIN_SECONDS = 5.0  # within which a Swarm begins an update; measured: 0.4
PAUSE_SECONDS = 0.5  # between two looks
EXTRA_SECONDS = 60.0  # for images that a node pulls, and for tasks that the managers have yet to place
VXLAN_BYTES = 50  # what the overlay adds to each packet
LARGEST_SECRET = 500 * 1024  # moby/swarmkit, manager/controlapi
Step = TypeVar("Step")
KINDS: tuple[ObjectKind, ...] = ("configs", "secrets")
GOING = ("updating", "rollback_started")
FAILED = {
    "paused": "the update stopped",
    "rollback_completed": "the Swarm went back to what ran before",
    "rollback_paused": "the update failed, and so did the way back",
}


class Running(NamedTuple):
    """The Swarm that a release is applied to."""

    api: SwarmApi
    engine: Api
    store: Store  # of the secrets, which this manager keeps
    release: Release
    number: int
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    tell: Callable[..., None] = unasked  # gets what happens to a service while it happens, as keywords
    homes: Mapping[str, swarm_placement.Home] = {}  # where services that may move are to run
    at_once: int = 1  # replicas that are replaced together
    gate: Callable[[], None] = unasked  # before each step; it waits, or raises ApplyError
    canary: CanaryWatch | None = None  # watches a replica; raises ApplyError where it is not good


def node_files(service: SwarmService, store: Store, *, make: bool) -> list[NodeFiles]:
    """Return the directories that each host of a service needs, with the texts of its secrets."""
    return [
        {
            "kind": one["kind"],
            "path": one["source"],
            "user": one["user"],
            "files": one["texts"]
            | {
                name: store.render(secret["secret"], secret["format"], make=make)
                for name, secret in one["secrets"].items()
            },
            "service": service.name if one["kind"] in {"config", "secrets"} else "",
            "target": one["target"] if one["kind"] in {"config", "secrets"} else "",
        }
        for one in service.directories
    ]


def change_nodes(
    api: SwarmApi,
    steps: Iterable[swarm_placement.NodeStep],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[str]:
    """Give nodes their roles, labels and availability; return one line for each that was changed.

    While a manager joins the others they may decide nothing, so the next change waits for it.

    :raises ApplyError: a new manager does not get there
    """
    changes: list[str] = []
    for step in steps:
        api.change_node(step.id, step.role, step.labels, step.availability)
        changes.append(f"~ node {step.host}: {', '.join(step.reasons)}")
        if any(reason.startswith("role: ") for reason in step.reasons):
            until = clock() + EXTRA_SECONDS
            while (why := unlike_role(api, step)) and clock() < until:
                sleep(PAUSE_SECONDS)
            if why:
                raise ApplyError(f"{step.host} is to be a {step.role}, and after {EXTRA_SECONDS:.0f} s {why}")
    return changes


def unlike_role(api: SwarmApi, step: swarm_placement.NodeStep) -> str:
    """Say why a node is not yet what it is to be; empty where it is."""
    try:
        found = next((node for node in api.local()["nodes"] if node["id"] == step.id), None)
    except (RefusedError, OSError) as error:
        return f"the managers do not answer: {error.message if isinstance(error, RefusedError) else error}"
    if found is None:
        return "it is not in the Swarm"
    if step.role == "manager" and not found["reachable"]:
        return "the other managers do not reach it: let 2377/tcp through between them"
    return "it still decides with the others" if step.role == "worker" and found["reachable"] else ""


def overlay(network: Network, stack: str, mtu: int) -> Json:
    """Return the request for the overlay of a stack, as ``POST /networks/create`` takes it.

    :param mtu: the largest packet that every host of the cluster can send; of what is encrypted, the engine takes off
        26 bytes more for each packet by itself (moby, drivers/overlay)
    """
    pool = {"Subnet": network["subnet"], "Gateway": network["gateway"]}
    return {
        "Name": network["name"],
        "CheckDuplicate": True,
        "Driver": "overlay",
        "Scope": "swarm",
        "Attachable": True,
        "Internal": swarm_services.is_internal(network),
        "IPAM": {"Config": [{key: value for key, value in pool.items() if value}]},
        "Options": {
            "com.docker.network.driver.mtu": str(mtu - VXLAN_BYTES),
            **({answers.ENCRYPTED: ""} if network.get("encrypted") else {}),
        },
        "Labels": {SWARM_LABEL: stack},
    }


def unlike(network: Network, found: InspectedNetwork) -> str:
    """Say in what an overlay differs so that it has to be made anew; empty where it does not."""
    if (has := subnet_of(found)) != network["subnet"]:
        return f"subnet {has} -> {network['subnet']}"
    if is_encrypted(found) != network.get("encrypted", False):
        return "it is encrypted -> it is not" if is_encrypted(found) else "it is not encrypted -> it is"
    return ""


def is_encrypted(network: InspectedNetwork) -> bool:
    """Tell whether an overlay is encrypted between the hosts."""
    return bool(answers.encryption(network))


def to_remake(release: Release, networks: list[InspectedNetwork]) -> list[str]:
    """Return the overlays of a release that differ from what they should be, one line each."""
    present = {one["Name"]: one for one in networks if (one["Labels"] or {}).get(SWARM_LABEL) == release["stack"]}
    pairs = ((name, present[name], one) for name, one in release["networks"].items() if name in present)
    return [f"~ network {name}: {why}" for name, found, one in pairs if (why := unlike(one, found))]


def make_overlays(running: Running, networks: list[InspectedNetwork], mtu: int, *, check: bool = False) -> list[str]:
    """Make the networks of the release that the Swarm lacks; return one line for each.

    :param networks: those that are there
    :raises ApplyError: where a network of that name is no overlay of this stack
    """
    changes: list[str] = []
    present = {one["Name"]: one for one in networks}
    for name, network in running.release["networks"].items():
        found = present.get(name)
        if found is None:
            changes.append(f"+ network {name}")
            if not check:
                running.engine.make_network(overlay(network, running.release["stack"], mtu))
        elif found["Driver"] != "overlay" or (found["Labels"] or {}).get(SWARM_LABEL) != running.release["stack"]:
            raise ApplyError(
                f"network {name} of this host is of driver {found['Driver']} and not the overlay of stack "
                f"{running.release['stack']}; nothing was done to it. Remove it, or choose another network_name"
            )
        elif why := unlike(network, found):
            raise ApplyError(
                f"network {name} would change ({why}); nothing was changed. A Swarm changes no network: allow it with "
                "network_recreate_allowed=true, with which every service ends and begins anew on another one; data stay"
            )
    return changes


def unused_overlays(engine: Api, stack: str, release_networks: Iterable[str]) -> list[InspectedNetwork]:
    """Return the overlays of a stack that no release names."""
    kept = set(release_networks)
    return [
        one
        for one in engine.networks()
        if (one["Labels"] or {}).get(SWARM_LABEL) == stack and one["Driver"] == "overlay" and one["Name"] not in kept
    ]


def subnet_of(network: InspectedNetwork) -> str:
    """Return the subnet of a network."""
    pools = (network["IPAM"] or {}).get("Config") or []
    return next((one.get("Subnet", "") for one in pools), "")


def in_order(services: list[SwarmService], release: Release) -> list[SwarmService]:
    """Return the services so that each one comes after those that it needs."""
    needs = {one.name: sorted(set(release["containers"][one.name]["after"]) - {one.name}) for one in services}
    if waiting := connections.cycle(needs):
        raise ApplyError(f"{' waits for '.join(waiting)}: none of them would ever start")
    order = list(graphlib.TopologicalSorter(needs).static_order())
    return sorted(services, key=lambda service: order.index(service.name))


class Way(NamedTuple):
    """What a service that was changed is to be waited for."""

    service: SwarmService
    before: ObservedService | None  # as it was shown before it was changed; None where it was made
    new_tasks: bool
    free: Json | None = None  # the request by which any host may take it afterwards

    def end(self, applier: SwarmApplier) -> None:
        """Wait until the service is there, and its earlier tasks have ended; then any host may run it.

        :raises ApplyError: it went back, stopped, or did not get there in time
        """
        try:
            applier.wait(self.service, self.before, new_tasks=self.new_tasks)
        except ApplyError:
            applier.let_go(self.service.name)
            raise
        if self.service.together and self.new_tasks and self.before:
            applier.wait_for_farewell(self.service)
        if self.free:
            applier.running.api.change(self.service.name, self.free)


class SwarmApplier:
    """Carries out the actions of one plan."""

    def __init__(self, running: Running, services: list[SwarmService]) -> None:
        """Apply the services of one release."""
        self.running = running
        self.services = {one.name: one for one in in_order(services, running.release)}
        self.seconds: dict[str, float] = {}  # by service, of the actions that are done

    def run(self, actions: list[Action], observed: Mapping[str, ObservedService]) -> None:
        """Remove what is not declared; bring each service to what it should be, after those that it needs.

        :raises ApplyError: naming the first that failed, why, and what runs of it now
        """
        for action in actions:
            if action.kind == "remove":
                self.timed(action.container, lambda one=action: self.remove(one.container, one.id))
        by_name = {action.container: action for action in actions if action.kind != "remove"}
        canaries = self.canaries(by_name)
        for names in self.batches(by_name, canaries):
            self.running.gate()
            ways: list[tuple[str, Way | None]] = []
            for name in names:
                way = self.timed(name, lambda one=name: self.begin(by_name[one], observed.get(one)))
                ways.append((name, way))
            for name, way in ways:
                if way:
                    self.timed(name, lambda it=way: it.end(self))
                    if name in canaries:
                        self.timed(name, lambda it=way: self.judge(it))
        if self.seconds:
            self.running.gate()  # it may have been aborted during the last step

    def canaries(self, actions: Mapping[str, Action]) -> set[str]:
        """Return the first replica of each service that is replaced, where somebody watches it.

        One that only moves is as it was before. Of what keeps copies, each is waited for until it has all of them.
        """
        found: dict[str, str] = {}
        for name, service in self.services.items() if self.running.canary else ():
            action = actions.get(name)
            if action and action.kind == "replace" and service.together and service.moves and not only_moves(action):
                found.setdefault(service.together, name)
        return set(found.values())

    def judge(self, way: Way) -> None:
        """Watch a new replica; where it is not good, the service gets its earlier specification again.

        :raises AbortedError: an operator aborted the rollout, which then goes back for all that it replaced
        :raises ApplyError: what was seen, and what runs now
        """
        name, before = way.service.name, way.before
        if self.running.canary is None or before is None:
            return
        self.running.tell(row=name, doing="watch")
        try:
            self.running.canary(name, self.running.release["containers"][name], self.running.gate)
        except AbortedError:
            raise
        except ApplyError as error:
            try:
                self.put_back(way.service, before)
            except (ApplyError, RefusedError, OSError) as other:
                raise ApplyError(f"{error}\nThe earlier {name} does not come back: {other}") from error
            self.seconds.pop(name, None)  # nothing of it was changed after all
            raise ApplyError(f"{error}\nThe earlier {name} is back and runs.") from error

    def put_back(self, service: SwarmService, before: ObservedService) -> None:
        """Give a service the request that it had before, and wait until it runs as it did."""
        now = next((one for one in self.running.api.services() if one.name == service.name), None)
        home = self.running.homes.get(service.name)
        wanted = swarm_placement.at_home(before.request, home.node) if home else before.request
        self.running.api.change(before.id, wanted)
        Way(service, now, new_tasks=True, free=before.request if home else None).end(self)

    def batches(self, actions: Mapping[str, Action], alone: AbstractSet[str] = frozenset()) -> Iterator[list[str]]:
        """Yield what is brought up together: replicas, as many as may be away at once, or all that are new.

        :param alone: those that nothing else is brought up with
        """
        batch: list[str] = []
        for name, service in self.services.items():
            if name not in actions:
                continue
            new = all(actions[one].kind == "create" for one in (*batch, name))
            alike = batch and service.together and service.together == self.services[batch[0]].together
            apart = name in alone or not alone.isdisjoint(batch)
            if batch and (apart or not (alike and (new or len(batch) < self.running.at_once))):
                yield batch
                batch = []
            batch.append(name)
        if batch:
            yield batch

    def timed(self, name: str, step: Callable[[], Step]) -> Step:
        """Do a step, tell of it, and keep how long it took."""
        begun = self.running.clock()
        self.running.tell(row=name, doing="apply")
        try:
            done = step()
        except RefusedError as error:
            raise ApplyError(f"{name}: the Swarm refuses it: {error.message}") from error
        except ApplyError:
            self.seconds.pop(name, None)  # it was begun, and is not what it was to be
            raise
        self.seconds[name] = round(self.seconds.get(name, 0.0) + self.running.clock() - begun, 2)
        self.running.tell(row=name, seconds=self.seconds[name])
        return done

    def begin(self, action: Action, before: ObservedService | None) -> Way | None:
        """Begin an action of one service; return what to wait for, if anything."""
        service = self.services[action.container]
        if action.kind == "keep":
            return None if action.health == "healthy" else Way(service, before, new_tasks=False)
        request = swarm_services.labelled(service, self.running.release, self.running.number)
        self.place(request, service)
        if before is not None and remade(before.request, service.request):
            self.remove(service.name, before.id)
            before = None
        new_tasks = action.kind in {"create", "replace"}
        home = self.running.homes.get(service.name) if new_tasks else None
        asked = swarm_placement.at_home(request, home.node) if home else request
        if before is None:
            self.running.api.create(asked)
        else:
            # An update that stopped goes on only where something differs.
            self.running.api.change(before.id, asked, force=before.update in STOPPED)
        return Way(service, before, new_tasks=new_tasks, free=request if home else None)

    def place(self, request: Json, service: SwarmService) -> None:
        """Make the configs and secrets that a service needs and the Swarm lacks, and put their ids into the request."""
        stack = self.running.release["stack"]
        labels = {SWARM_LABEL: stack}
        container = request["TaskTemplate"]["ContainerSpec"]
        for kind, key, word in zip(KINDS, ("Configs", "Secrets"), ("Config", "Secret"), strict=True):
            wanted = container.get(key, [])
            present = self.running.api.objects(kind, f"{SWARM_LABEL}={stack}") if wanted else {}
            for one in wanted:
                name = one[f"{word}Name"]
                if name not in present:
                    present[name] = self.running.api.make_object(kind, name, self.content(service, name), labels)
                one[f"{word}ID"] = present[name]

    def content(self, service: SwarmService, name: str) -> bytes:
        """Return what a config or a secret holds."""
        file = service.files[name]
        if file["secret"] is None:
            return (file["text"] or "").encode()
        content = self.running.store.render(file["secret"]["secret"], file["secret"]["format"]).encode()
        if len(content) > LARGEST_SECRET:
            raise ApplyError(
                f"{service.name}: secret {file['secret']['secret']} has {len(content)} bytes, and a Swarm keeps none "
                f"above {LARGEST_SECRET}"
            )
        return content

    def remove(self, name: str, identity: str) -> None:
        """Remove a service, and wait until none of it is left. Its data stay."""
        self.running.api.remove(identity)
        until = self.running.clock() + EXTRA_SECONDS
        while any(one.id == identity for one in self.running.api.services()):
            if self.running.clock() > until:
                raise ApplyError(f"{name}: the Swarm does not remove it")
            self.running.sleep(PAUSE_SECONDS)

    def wait(self, service: SwarmService, before: ObservedService | None, *, new_tasks: bool) -> None:
        """Wait until every task of a service runs.

        :param before: as it was shown before it was changed; None where it was made
        :param new_tasks: whether the change replaces tasks, so that the Swarm begins an update
        :raises ApplyError: it went back, stopped, or did not get there in time
        """
        last = before.begun if before else ""
        waits = bool(before) and new_tasks
        changed = self.running.clock()
        until = changed + patience(service)
        while True:
            found = next((one for one in self.running.api.services() if one.name == service.name), None)
            if found is None:
                raise ApplyError(f"{service.name}: somebody removed it while it was brought up")
            # The Swarm forgets the last update, and shows none until this one begins. It begins none where every task
            # is as it should be, such as after a change by hand that had not got far.
            begun = not waits or found.begun not in {"", last} or self.running.clock() > changed + BEGIN_SECONDS
            if begun and waits and found.update in FAILED:
                why = found.failure or "; ".join(found.waits) or "nothing is told"
                raise ApplyError(f"{service.name}: {FAILED[found.update]}: {found.message}. The cause: {why}")
            if begun and found.complete and found.update not in GOING:
                return
            if self.running.clock() > until:
                has = sum(found.running.values())
                why = "; ".join(found.waits) or found.message or "nothing is told"
                raise ApplyError(
                    f"{service.name}: {has} of {found.wanted} tasks run after {patience(service):.0f} s: {why}"
                )
            self.running.sleep(PAUSE_SECONDS)

    def let_go(self, name: str) -> None:
        """Let any host run a service that failed to come up at its home: that host may be why."""
        with contextlib.suppress(RefusedError, OSError):
            for found in self.running.api.services():
                request, held = set_free(found.request)
                if found.name == name and held:
                    self.running.api.change(found.id, request)

    def wait_for_farewell(self, service: SwarmService) -> None:
        """Wait until the earlier task of a replica has said goodbye to its streams, and ended.

        One whose node is lost never tells, so this does not wait longer than the task may take.
        """
        until = self.running.clock() + stop_seconds(service) + swarm_services.MONITOR_SECONDS
        while self.running.clock() < until:
            found = next((one for one in self.running.api.services() if one.name == service.name), None)
            if not found or not found.ending:
                return
            self.running.sleep(PAUSE_SECONDS)


def stop_seconds(service: SwarmService) -> float:
    """Return how many seconds a task of a service may take to end."""
    return service.request["TaskTemplate"]["ContainerSpec"].get("StopGracePeriod", 0) / swarm_services.SECOND


def patience(service: SwarmService) -> float:
    """Return how many seconds a service may need until all of it runs: every task in turn, as its check allows."""
    check = service.request["TaskTemplate"]["ContainerSpec"].get("Healthcheck", {})
    task = (check.get("StartPeriod", 0) + check.get("Interval", 0) * check.get("Retries", 0)) / swarm_services.SECOND
    return EXTRA_SECONDS + task + stop_seconds(service) + swarm_services.MONITOR_SECONDS


def tear_down(api: SwarmApi, engine: Api, stack: str, *, check: bool = False) -> list[str]:
    """Remove what a stack has in the Swarm, and return it. Data, and the labels that say who holds them, stay.

    Networks are known by their labels: with another network_layout, the settings name others than there are.
    """
    services = [one for one in api.services() if one.label("stack") == stack]
    removed = [f"- {one.name}" for one in services]
    for one in [] if check else services:
        api.remove(one.id)
    objects = all_objects(api, stack)
    networks = unused_overlays(engine, stack, ())
    for kind, name, identity in objects:
        removed.append(f"- {kind[:-1]} {name}")
        if not check:
            api.remove_object(kind, identity)
    for network in networks:
        removed.append(f"- network {network['Name']}")
        if not check:
            api.remove_network(network["Id"])
    return removed


def wait_for_the_end(
    api: SwarmApi,
    services: Mapping[str, str],
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until the tasks of services that were removed have ended.

    :param services: their names by id
    :param seconds: that a task may take to end
    :raises ApplyError: some have not
    """
    until = clock() + seconds + EXTRA_SECONDS
    while left := api.left(services):
        if clock() > until:
            names = ", ".join(sorted(services[one] for one in left))
            raise ApplyError(
                f"{names} was removed, and has not ended yet: run this again when it has (docker ps there)"
            )
        sleep(PAUSE_SECONDS)


def all_objects(api: SwarmApi, stack: str) -> list[tuple[ObjectKind, str, str]]:
    """Return the configs and secrets of a stack: kind, name and id."""
    found: list[tuple[ObjectKind, str, str]] = []
    for kind in KINDS:
        present = sorted(api.objects(kind, f"{SWARM_LABEL}={stack}").items())
        found.extend((kind, name, identity) for name, identity in present)
    return found


def unused_objects(api: SwarmApi, stack: str) -> list[tuple[ObjectKind, str, str]]:
    """Return the configs and secrets of a stack that no service has or goes back to: kind, name and id."""
    used = api.objects_in_use()
    return [one for one in all_objects(api, stack) if one[1] not in used]
