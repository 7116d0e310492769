# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Where rules of iptables meet a connection between two containers, or from the host to one: which of them stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Packet
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, WILDCARDS

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.host.iptables_rules import Chain, Rule, Rules

LEAVING: list[Chain] = [("raw", "OUTPUT"), ("mangle", "OUTPUT"), ("filter", "OUTPUT")]
ENTERING: list[Chain] = [("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("filter", "INPUT")]
FORWARDED: list[Chain] = [*ENTERING[:2], ("mangle", "FORWARD"), ("filter", "FORWARD")]


def blocked(rules: Rules | None, packet: Packet, there: list[Chain], back: list[Chain]) -> Rule | None:
    """Return the rule that blocks a packet on its way there, or its answer on the way back."""
    return rules and (rules.hindrance(there, packet) or rules.hindrance(back, packet.answer()))


def before_container(rules: Rules, address: str, port: int) -> Rule | None:
    """Return the rule that blocks what the host sends to a published port before the engine rewrites it."""
    asked = Packet("", IPV4.loopback if address in WILDCARDS else address, port)
    return rules.hindrance(LEAVING[:2], asked)


def to_container(rules: Rules, packet: Packet, gateway: str) -> Rule | None:
    """Return the rule that blocks what the host sends to a container by a published port.

    :param packet: as the engine has rewritten it; its source is the address that the host asked from
    :param gateway: the host's own address on the network, to which the answer goes
    """
    back = packet._replace(source=gateway).answer()
    return rules.hindrance(LEAVING[2:], packet) or rules.hindrance(ENTERING, back)
