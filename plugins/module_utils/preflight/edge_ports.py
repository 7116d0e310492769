# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Who may reach the published ports of a cluster: `exposure_allow_from`, and its hosts, which try them. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.addresses import ipv4_networks
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

RULE = "edge-ports"
MEND = ("./sse up",)


def sources(allow_from: Iterable[str], shown: Mapping[str, Shown]) -> list[str]:
    """Return the networks that may reach the ports; none where everybody may."""
    allowed = list(allow_from)
    if not allowed:
        return []
    own = {address for one in shown.values() for address in (one.address, *one.sources) if address}
    found = ipv4_networks([*allowed, *own])
    return [] if "0.0.0.0/0" in found else found


def findings(
    shown: Mapping[str, Shown], wanted: list[str], ports: Mapping[str, list[int]], silent: Collection[str] = ()
) -> Iterator[Finding]:
    """Yield what differs from that.

    :param wanted: the networks, as `sources` returns them
    :param ports: those that each host publishes
    :param silent: hosts that do not answer, so that nobody knows their addresses
    """
    for host, one in shown.items():
        edge, closes = one.edge, bool(wanted and ports.get(host))
        if edge is None or one.host["engine"] is None:
            continue
        if not closes:
            if edge["there"]:
                wrong = "it closes ports to others, and no setting says so any more"
                yield Finding(
                    RULE, host, wrong, "the chain of the stack is there, and exposure_allow_from is empty", MEND
                )
            continue
        numbers = " and ".join(map(str, sorted(ports[host])))
        if not edge["sources"] or edge["ports"] != sorted(ports[host]):
            wrong = f"nothing closes {numbers} to networks that exposure_allow_from does not name"
            yield Finding(
                RULE, host, wrong, "the chain of the stack is not there as it was written, or not asked", MEND
            )
            continue
        closed = [network for network in wanted if network not in edge["sources"]]
        more = [] if silent else [network for network in edge["sources"] if network not in wanted]
        if closed:
            yield Finding(RULE, host, f"it closes {numbers} to {', '.join(closed)}", "iptables -S", MEND)
        if more:
            wrong = f"it opens {numbers} to {', '.join(more)}, which exposure_allow_from does not name"
            yield Finding(RULE, host, wrong, "iptables -S", MEND)
        if not edge["kept"]:
            wrong = f"its next start would leave {numbers} open to everybody"
            yield Finding(RULE, host, wrong, "what puts the chain of the stack in place then was changed", MEND)
