# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make and remove the networks of a stack. What the engine leaves of one on the host goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import host_side
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import BRIDGE, links

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Network


def make(engine: Engine, network: Network, stack: str, mtu: int | None) -> None:
    """Make a network; one that has its name goes first, and containers on it lose their place there.

    :param mtu: the largest packet in bytes, where that is not the engine's own
    :raises EngineError: it cannot be made
    """
    if engine.has_network(network["name"]):
        engine.empty_network(network["name"])
        remove(engine, network["name"])
    engine.make_network(network, stack, mtu)


def remove(engine: Engine, name: str) -> None:
    """Remove a network, if it exists; raises EngineError where the engine refuses that."""
    device = engine.device(name)
    engine.remove_network(name)
    if device:
        remove_bridge(device)


def remove_bridge(device: str) -> None:
    """Remove a bridge that somebody made again, or a run in place of the engine, which leaves that one.

    Another interface that has got this name stays, and so does a bridge that something is still plugged into.
    """
    there = links()
    left = next((one for one in there if one.name == device and one.kind == BRIDGE), None)
    if left and not any(one.master == left.number for one in there):
        host_side.ran(f"ip link del {device}")  # without iproute2 no run has made it, either
