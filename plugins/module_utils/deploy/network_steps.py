"""Which networks a run makes and which it removes, from the settings, the host fact and the releases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import connections, ip_family

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

Json = dict[str, Any]
LABEL_STACK = "sse.platform.stack"


def is_ours(container: Json, settings: Json) -> bool:
    """Tell whether a container carries the label of this stack."""
    return container["labels"].get(LABEL_STACK) == settings["stack_name"]


def network_difference(wanted: Mapping[str, Any], network: Json) -> list[str]:
    """How a network of the stack differs from what is wanted; labels and containers don't matter."""
    present = {**network, "subnet": ", ".join(one for one in network["subnets"] if ip_family.of(one) is ip_family.IPV4)}
    found = [
        f"{key} is {present[key] or 'not set'}, wanted {wanted[key]}"
        for key in ("driver", "subnet", "gateway", "ip_range", "internal")
        if present[key] != wanted[key]
    ]
    has: Json = network.get("ipv6") or {}
    needs: Json = wanted.get("ipv6") or {}
    return found + [
        f"IPv6 {key} is {has.get(key) or 'not set'}, wanted {needs.get(key) or 'none'}"
        for key in ("subnet", "gateway", "ip_range")
        if has.get(key, "") != needs.get(key, "")
    ]


def network_steps(settings: Json, host: Json, releases: Sequence[Release]) -> Json:
    """What is to be done about the stack's networks: `make` and, once containers have moved, `drop`.

    What `make` names exists and differs, or does not exist; `_network_problems` has refused what must not be remade.
    """
    present = {network["name"]: network for network in host["networks"]}
    wanted = connections.networks_of(releases)
    strangers = {one["name"] for one in host["containers"] if not is_ours(one, settings)}
    return {
        "make": [
            {**one, "pools": ip_family.ipam(one), "containers": present.get(one["name"], {}).get("containers", [])}
            for one in wanted.values()
            if one["name"] not in present or network_difference(one, present[one["name"]])
        ],
        "drop": sorted(
            name
            for name, one in present.items()
            if one["labels"].get(LABEL_STACK) == settings["stack_name"]
            and name not in wanted
            and not set(one["containers"]) & strangers
        ),
    }
