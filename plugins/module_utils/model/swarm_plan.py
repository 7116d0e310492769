# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The plan for a Swarm: a pure function from the services that should be and those that are to actions with reasons.

Unlike a container, a service of a Swarm shows all that it was asked for. So the plan compares with that, too, and sees
what somebody changed by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action, ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import COMPLETE_LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import NODE_IS, Home

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import ObservedService
    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SwarmService
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

# What a Swarm takes over without new tasks.
IN_PLACE = frozenset({"Mode", "UpdateConfig", "RollbackConfig"})
MOVES = "moves to "  # how the reason of a move begins
STOPPED = {"paused": "its last update stopped", "rollback_paused": "the way back from its last update stopped"}


def swarm_plan(
    wanted: list[SwarmService],
    observed: list[ObservedService],
    stack: str,
    project: str,
    networks: Mapping[str, str],
    homes: Mapping[str, Home] | None = None,
) -> list[Action]:
    """Compare what should run with what does.

    :param networks: the name of each network of the Swarm, by id
    :param homes: where a service is to run, for each that may move
    :raises ForeignContainerError: where somebody else's service has one of our names
    """
    by_name = {one.name: one for one in observed}
    names = {one.name for one in wanted}
    actions = [
        Action("remove", one.name, ["no longer declared"], one.id)
        for one in observed
        if one.belongs(stack, project) and one.name not in names
    ]
    for service in wanted:
        running = by_name.get(service.name)
        if running is None:
            actions.append(Action("create", service.name, ["missing"]))
            continue
        if not running.belongs(stack, project):
            raise ForeignContainerError(
                f"service {service.name} of the Swarm exists and is not of stack {stack!r} (project {project!r}); "
                "nothing was done to it. Remove or rename it, or choose another stack_name"
            )
        actions.append(_action(service, running, networks, (homes or {}).get(service.name)))
    return actions


def _action(service: SwarmService, running: ObservedService, networks: Mapping[str, str], home: Home | None) -> Action:
    """Return what is to be done with a service that exists."""
    shown, held = set_free(with_names(running.request, networks))
    unlike = list(differences(shown, service.request))
    reasons = [reason for __, reason in unlike]
    if running.label("spec") == service.fingerprint:
        reasons = [f"{reason} (changed by hand)" for reason in reasons]
    elif not reasons:
        reasons = ["its labels do not match its release"]
    if COMPLETE_LABEL in running.labels:
        reasons.append("it stands still for a step that ended too soon")
    if held:
        reasons.append("no other host may run it: an earlier run ended too soon")
    moves = bool(home and running.running and home.node not in running.running)
    if home and moves:
        why = f"{home.left} gets no tasks" if home.left else "the replicas are unequally spread"
        reasons.append(f"{MOVES}{home.host}: {why}")
    if running.update == "rollback_completed" and reasons:
        reasons.insert(0, f"its last update was rolled back ({running.message})")
    if running.update in STOPPED:
        reasons.insert(0, f"{STOPPED[running.update]} ({running.message})")
    if not reasons:
        health = "healthy" if running.complete else "starting"
        return Action("keep", service.name, [], running.id, health)
    new_tasks = moves or any(key not in IN_PLACE for key, __ in unlike) or running.update in STOPPED
    return Action("replace" if new_tasks else "mend", service.name, reasons, running.id)


def only_moves(action: Action) -> bool:
    """Tell whether an action has no other reason than that a service is to run elsewhere."""
    return action.changes and all(reason.startswith(MOVES) for reason in action.reasons)


def with_names(request: Json, networks: Mapping[str, str]) -> Json:
    """Return what a service shows, with names in place of the ids of its networks."""
    task: Json = request.get("TaskTemplate") or {}
    joined: list[Json] = (
        task.get("Networks") or request.get("Networks") or []
    )  # the second is the place of older engines
    named = [{**one, "Target": networks.get(one.get("Target", ""), one.get("Target", ""))} for one in joined]
    return {**request, "TaskTemplate": {**task, "Networks": named}}


def on_both(
    wanted: list[SwarmService], observed: Mapping[str, ObservedService], networks: Mapping[str, str]
) -> list[SwarmService]:
    """Return services on the networks that they are to be on, and on those that they are on now.

    A Swarm changes networks by new tasks. With another layout, these would share none with tasks that are not yet new.

    :param networks: the name of each network of the Swarm, by id
    """
    return [_joined(one, networks_of(observed[one.name], networks)) if one.name in observed else one for one in wanted]


def lacks_networks(
    wanted: list[SwarmService], observed: Mapping[str, ObservedService], networks: Mapping[str, str]
) -> bool:
    """Tell whether a service that runs is on fewer networks than it is to be."""
    return any(
        one.name in observed and _targets(one.request) - set(networks_of(observed[one.name], networks))
        for one in wanted
    )


def networks_of(service: ObservedService, networks: Mapping[str, str]) -> list[str]:
    """Return the names of the networks that a service is on; one that is gone has none."""
    known = set(networks.values())
    joined: list[Json] = with_names(service.request, networks)["TaskTemplate"]["Networks"]
    return [one["Target"] for one in joined if one["Target"] in known]


def _targets(request: Json) -> set[str]:
    return {one["Target"] for one in request["TaskTemplate"]["Networks"]}


def _joined(service: SwarmService, further: list[str]) -> SwarmService:
    """Return a service that is on further networks, too, by the same names."""
    task = service.request["TaskTemplate"]
    aliases = task["Networks"][0]["Aliases"]
    joined = [{"Target": one, "Aliases": aliases} for one in further if one not in _targets(service.request)]
    request = {**service.request, "TaskTemplate": {**task, "Networks": [*task["Networks"], *joined]}}
    return service._replace(request=request)


def set_free(request: Json) -> tuple[Json, bool]:
    """Return a request without the node that a run holds it to for a while, and whether it has one."""
    task: Json = request.get("TaskTemplate") or {}
    placement: Json = task.get("Placement") or {}
    constraints: list[str] = placement.get("Constraints") or []
    free = [one for one in constraints if not one.startswith(NODE_IS)]
    if free == constraints:
        return request, False
    return {**request, "TaskTemplate": {**task, "Placement": {**placement, "Constraints": free}}}, True


def differences(shown: Json, asked: Json) -> Iterator[tuple[str, str]]:
    """Yield where what a service shows differs from what is asked for, with the part of the request that it is in.

    What nobody asked for counts only where the engine fills in nothing by itself.
    """
    for key in asked:
        if key == "TaskTemplate":
            yield from (("TaskTemplate", reason) for reason in _task_differences(shown.get(key) or {}, asked[key]))
        elif key == "Mode" and remade(shown, asked):
            yield ("Name", f"Mode: {', '.join(shown.get(key) or {})} -> {', '.join(asked[key])}")
        else:
            yield from ((key, reason) for reason in _lost(shown.get(key), asked[key], key))


def remade(shown: Json, asked: Json) -> bool:
    """Tell whether a service has to be removed and made again: a Swarm never changes the kind of its mode."""
    return set(shown.get("Mode") or {}) != set(asked["Mode"])


def _task_differences(shown: Json, asked: Json) -> Iterator[str]:
    for key in asked:
        if key != "ContainerSpec":
            yield from _lost(shown.get(key), asked[key], key)
    before: Json = shown.get("ContainerSpec") or {}
    after: Json = asked["ContainerSpec"]
    yield from spec.differences(_environment(before), _environment(after), "environment")
    for kind, key in (("config", "Configs"), ("secret", "Secrets")):
        yield from _object_differences(kind, _by_path(before.get(key)), _by_path(after.get(key)))
    yield from _mount_differences(_by_target(before.get("Mounts")), _by_target(after.get("Mounts")))
    for key in after:
        if key not in {"Env", "Configs", "Secrets", "Mounts"}:
            yield from _lost(before.get(key), after[key], key)
    for key in ("CapabilityAdd", "Sysctls", "Groups", "Hosts"):  # the engine adds to none of them
        if before.get(key) and not after.get(key):
            yield f"{key}: {spec.show(before[key])} -> absent"


def _environment(container: Json) -> dict[str, str]:
    variables: list[str] = container.get("Env") or []
    parts = [one.partition("=") for one in variables]
    return {name: value for name, __, value in parts}


def _by_path(objects: list[Json] | None) -> dict[str, Json]:
    return {one["File"]["Name"]: one for one in objects or []}


def _object_differences(kind: str, before: dict[str, Json], after: dict[str, Json]) -> Iterator[str]:
    """Compare configs or secrets, whose names hold the hash of their content."""
    for path in dict.fromkeys([*before, *after]):
        old, new = before.get(path), after.get(path)
        if old is None or new is None:
            yield f"{kind} {path}: {'absent' if old is None else 'present'} -> {'absent' if new is None else 'present'}"
        elif _name_of(old) != _name_of(new):
            yield f"{kind} {path}: content"
        else:
            yield from _lost(old["File"], new["File"], f"{kind} {path}")


def _by_target(mounts: list[Json] | None) -> dict[str, Json]:
    return {one["Target"]: one for one in mounts or []}


def _mount_differences(before: dict[str, Json], after: dict[str, Json]) -> Iterator[str]:
    """Compare mounts, which the docker command writes back in another order."""
    for target in dict.fromkeys([*before, *after]):
        old, new = before.get(target), after.get(target)
        if old is None or new is None:
            was, should = ("absent" if one is None else "present" for one in (old, new))
            yield f"mount {target}: {was} -> {should}"
        else:
            yield from _lost(old, new, f"mount {target}")


def _name_of(one: Json) -> str:
    return one.get("ConfigName") or one.get("SecretName") or ""


def _lost(shown: Any, asked: Any, path: str) -> Iterator[str]:
    """Yield where something that is asked for is not shown. The engine leaves out what is empty, false or 0."""
    if isinstance(asked, dict):
        has = cast("Json", shown) if isinstance(shown, dict) else {}
        for key, value in cast("Json", asked).items():
            yield from _lost(has.get(key), value, f"{path}.{key}")
    elif isinstance(asked, list):
        wanted = cast("list[Any]", asked)
        present = cast("list[Any]", shown) if isinstance(shown, list) else []
        if len(present) != len(wanted):
            yield f"{path}: {spec.show(present)} -> {spec.show(wanted)}"
        else:
            for index, (one, other) in enumerate(zip(present, wanted, strict=True)):
                yield from _lost(one, other, f"{path}[{index}]")
    elif shown != asked and not (shown is None and not asked):
        yield f"{path}: {spec.show(shown)} -> {spec.show(asked)}"
