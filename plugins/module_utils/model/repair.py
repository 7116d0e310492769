# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What somebody changed on a container since it was made, and the smallest repair of each change. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Present
    from ansible_collections.sse.platform.plugins.module_utils.model.types import RepairKind, Spec

RESTART_POLICY = "unless-stopped"
STAYS_DOWN = "its restart policy no longer holds, because somebody sent it a signal with docker kill"


class Repair(NamedTuple):
    """One step that makes a container what its release says."""

    kind: RepairKind
    subject: str  # the name of a network, of a limit, or a path in the container
    reason: str
    restart: bool = False  # the process in the container works with what was there before


def limits(spec: Spec) -> dict[str, int | str]:
    """Return what the engine is asked for and can change while a container runs; memory in bytes, without swap."""
    memory = spec["memory"]
    found: dict[str, int | str] = {
        "memory": memory,
        "memory_swap": memory,
        "pids": spec["pids"],
        "restart": RESTART_POLICY,
    }
    if shares := spec.get("cpu_shares"):  # a release of an earlier version has none
        found["cpu_shares"] = shares
    return found


def repairs(spec: Spec, present: Present, networks: Mapping[str, str]) -> Iterator[Repair]:
    """Compare what the engine says of a container with its spec.

    :param networks: id of each network that exists, by name
    """
    connections = list(connections_of(spec, present, networks))
    yield from connections
    for name in sorted(present.networks.keys() - spec["networks"].keys()):
        yield Repair("disconnect", name, f"disconnect from {name} (not declared)")
    if present.misled and not connections:  # with a connection they come back anyway
        yield Repair("names", "/etc/hosts", f"/etc/hosts: {', '.join(present.misled)} not as pinned")
    for name, wanted in limits(spec).items():
        has = present.limits.get(name, wanted)
        if has != wanted:
            yield Repair("update", name, f"{name.replace('_', ' ')}: {has} -> {wanted}")
    if present.stays_down:
        yield Repair("restart", "restart policy", STAYS_DOWN, restart=True)


def connections_of(spec: Spec, present: Present, networks: Mapping[str, str]) -> Iterator[Repair]:
    """Say which networks a container must be connected to anew, as `repairs` takes them."""
    addresses6 = spec.get("networks6", {})
    for name, address in spec["networks"].items():
        joined = present.networks.get(name)
        if joined is None:
            yield Repair("connect", name, f"connect to {name} (was detached)")
        elif joined.network_id != networks.get(name):
            yield Repair("connect", name, f"connect to {name} (the network was made anew)")
        elif (joined.address, joined.address6) != (address, addresses6.get(name, "")):
            has = joined.address or "an address that the engine chose"
            yield Repair("connect", name, f"connect to {name} as {address or 'any address'} (has {has})")
        elif joined.aliases != frozenset(spec["aliases"]):
            has = ", ".join(sorted(joined.aliases)) or "none"
            yield Repair("connect", name, f"connect to {name} as {', '.join(spec['aliases'])} (its names are {has})")
        elif name in present.unplugged:
            yield Repair("connect", name, f"connect to {name} ({present.unplugged[name]})")


def reasons_to_replace(present: Present) -> list[str]:
    """Say which limits somebody set that the engine can change but never take away again."""
    return [f"{name} is {value}, and nothing declares it" for name, value in sorted(present.extra_limits.items())]
