# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Addresses and published ports that go from one container to another: the one that has them must let go first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine import answers

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.plan import Action
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec

Place = tuple[str, str]  # a network and an address on it, or "port" and a port of the host


class Order(NamedTuple):
    """Which containers wait for which, and which must stop before another one can start."""

    after: dict[str, set[str]]
    stops: dict[str, list[Action]]  # by the container that starts: those in its way that cannot be replaced before it


def wanted_places(spec: Spec) -> set[Place]:
    """Return what only one container can have: reserved addresses and published ports."""
    networks = [*spec["networks"].items(), *spec.get("networks6", {}).items()]
    return {one for one in networks if one[1]} | {("port", str(one["host_port"])) for one in spec["ports"]}


def present_places(inspected: answers.Inspected) -> set[Place]:
    """Return what a container was created with of these."""
    joined = {name: answers.joined(one, inspected["Id"]) for name, one in answers.all_networks(inspected).items()}
    found = {(name, address) for name, one in joined.items() for address in (one.address, one.address6) if address}
    bound = [one for ports in (inspected["HostConfig"]["PortBindings"] or {}).values() for one in ports or []]
    return found | {("port", one["HostPort"]) for one in bound}


def with_takeovers(
    after: dict[str, set[str]], wanted: Mapping[str, Action], containers: Mapping[str, Spec], engine: Engine
) -> Order:
    """Let each container that takes over an address or a port wait until the other one was replaced.

    :param after: which containers each one waits for already
    """
    has = {
        place: name
        for name, action in wanted.items()
        if action.kind == "replace"
        for place in present_places(engine.inspect(action.id))
    }
    order = Order({name: set(others) for name, others in after.items()}, {})
    for name, action in wanted.items():
        if action.kind not in {"create", "replace"}:
            continue
        for other in sorted({has[place] for place in wanted_places(containers[name]) & has.keys()} - {name}):
            if waits(order.after, other, name):
                order.stops.setdefault(name, []).append(wanted[other])
            else:
                order.after[name].add(other)
    return order


def waits(after: Mapping[str, set[str]], one: str, other: str) -> bool:
    """Tell whether a container waits for another one, directly or not."""
    seen, queue = set[str](), [one]
    while queue:
        queue += after.get(queue.pop(), set()) - seen
        seen.update(queue)
    return other in seen


def in_order(row: list[str], after: Mapping[str, set[str]]) -> list[str]:
    """Return these containers in their order, but each behind those of them that it waits for."""
    left, found = list(row), list[str]()
    while left:
        free = (name for name in left if not any(waits(after, name, one) for one in left if one != name))
        found.append(next(free, left[0]))
        left.remove(found[-1])
    return found
