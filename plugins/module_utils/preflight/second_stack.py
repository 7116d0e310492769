# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A throwaway second stack beside a running one: its name, its offset, and the services that it needs. Pure."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import addresses

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts

OFFSETS = range(4990, 0, -10)  # from the end that people choose last
ENDING = "-drill"
LONGEST = 20  # characters that a stack's name may have


def drill_name(stack: str) -> str:
    """Return the name of a stack's drill, which depends on the name of the stack alone."""
    room = LONGEST - len(ENDING)
    if len(stack) > room:
        digest = hashlib.sha256(stack.encode()).hexdigest()[:5]
        stack = f"{stack[: room - len(digest) - 1].rstrip('-')}-{digest}"
    return stack + ENDING


def is_free(ports: Iterable[int], subnet: str, host: HostFacts) -> bool:
    """Tell whether nobody on a host has one of these ports, or addresses in this subnet."""
    held = {one["port"] for one in host["listeners"]}
    held |= {port["host_port"] for container in host["containers"] for port in container["ports"]}
    taken = [one for network in host["networks"] for one in network["subnets"]]
    taken += [one["destination"] for one in host["routes"] if one["destination"] not in {"0.0.0.0/0", "::/0"}]
    return held.isdisjoint(ports) and not any(addresses.overlap(subnet, one) for one in taken)


def needed(declared: Mapping[str, Any], service: str, proxy: str) -> list[str]:
    """Return a service, the service of the proxy before it, and all that these start after, in declared order.

    :param declared: declarations by service
    :param proxy: a container
    """
    owner = {short: name for name, one in declared.items() for short in one.get("containers", {})}
    found: set[str] = set()
    left = [service, owner.get(proxy, service)]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            containers = declared[name].get("containers", {}).values()
            left += [owner[short] for one in containers for short in one.get("after", []) if short in owner]
    return [name for name in declared if name in found]
