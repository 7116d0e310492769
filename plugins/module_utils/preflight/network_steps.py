# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which networks a run makes and which it drops, from the settings, the host fact and the releases. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model import connections, ip_family, types

if TYPE_CHECKING:
    from collections.abc import Iterable

LABEL_STACK = "sse.platform.stack"
NO_POOL: types.Pool = {"subnet": "", "gateway": "", "ip_range": ""}


class NetworkToMake(types.Network):
    """A network that is missing or differs."""

    pools: list[dict[str, str]]  # as community.docker expects them
    containers: list[str]  # that are on it now


class NetworkSteps(TypedDict):
    """The fact ``network_steps``. Networks are dropped when the containers have moved."""

    make: list[types.Network]
    drop: list[str]


def is_ours(one: types.ContainerFact | types.NetworkFact, settings: types.Settings) -> bool:
    """Tell whether a container or a network has the label of this stack."""
    return one["labels"].get(LABEL_STACK) == settings["stack_name"]


def network_difference(wanted: types.Network, present: types.NetworkFact) -> list[str]:
    """Return how a network differs from the wanted one. Labels and containers do not matter."""
    subnet = ", ".join(one for one in present["subnets"] if ip_family.of(one) is ip_family.IPV4)
    has: types.NetworkFact = {**present, "subnet": subnet}
    found = [
        f"{key} is {has[key] or 'not set'}, wanted {wanted[key]}"
        for key in ("driver", "subnet", "gateway", "ip_range", "internal")
        if has[key] != wanted[key]
    ]
    has6, wanted6 = present["ipv6"] or NO_POOL, wanted.get("ipv6", NO_POOL)
    return found + [
        f"IPv6 {key} is {has6[key] or 'not set'}, wanted {wanted6[key] or 'none'}"
        for key in ("subnet", "gateway", "ip_range")
        if has6[key] != wanted6[key]
    ]


def network_steps(settings: types.Settings, host: types.HostFacts, releases: Iterable[types.Release]) -> NetworkSteps:
    """Return which networks to make and which to drop. The preflight has refused what must not be recreated."""
    present = {network["name"]: network for network in host["networks"]}
    wanted: dict[str, types.Network] = connections.networks_of(releases)
    strangers = {one["name"] for one in host["containers"] if not is_ours(one, settings)}
    return {
        "make": [one for name, one in wanted.items() if name not in present or network_difference(one, present[name])],
        "drop": sorted(
            name
            for name, one in present.items()
            if is_ours(one, settings) and name not in wanted and not set(one["containers"]) & strangers
        ),
    }
