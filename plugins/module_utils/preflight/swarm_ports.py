# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Who may reach the ports by which the hosts of a Swarm hold together: these hosts, and nobody else. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.preflight import cluster_preflight

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

RULE = "swarm-ports"
MEND = ("./sse up",)


def admitted(shown: Mapping[str, Shown], silent: Collection[str] = ()) -> list[str] | None:
    """Return the addresses that may reach the ports: those of the hosts, and those that they come from.

    None where the Swarm has nodes of others, too: who joins those, nobody here is told.

    :param silent: hosts that do not answer
    """
    if cluster_preflight.nodes_of_others(shown, silent):
        return None
    return sorted({address for one in shown.values() for address in (one.address, *one.sources) if address})


def findings(shown: Mapping[str, Shown], silent: Collection[str]) -> Iterator[Finding]:
    """Yield what differs from that on the hosts of a Swarm.

    :param shown: what each host that answers showed
    :param silent: hosts that do not answer, so that nobody knows what they come from
    """
    wanted = admitted(shown, silent)
    if wanted is None:
        return
    nodes = {node["address"] for one in shown.values() if one.swarm for node in one.swarm["nodes"]}
    for host, one in shown.items():
        if one.admits is None or not one.swarm or one.swarm["state"] == "inactive":
            continue
        now = one.admits["addresses"]
        if now is None:
            wrong = "nothing closes the Swarm's ports to strangers: 2377, 7946 and 4789 are open"
            yield Finding(RULE, host, wrong, "the chain SSE-NODES is not there as it was written, or not asked", MEND)
            continue
        closed = [address for address in wanted if address not in now]
        more = [] if silent else [address for address in now if address not in wanted and address not in nodes]
        if closed:
            wrong = f"it closes the Swarm's ports to {', '.join(closed)}, which hosts of the cluster have"
            yield Finding(RULE, host, wrong, "the chain SSE-NODES does not name them", MEND)
        if more:
            wrong = f"it opens the Swarm's ports to {', '.join(more)}, which no host of the cluster has"
            yield Finding(RULE, host, wrong, "the chain SSE-NODES names them", MEND)
        if not one.admits["kept"]:
            wrong = "its next start would leave the Swarm's ports open to strangers"
            yield Finding(RULE, host, wrong, "what puts the chain SSE-NODES in place then was changed", MEND)
