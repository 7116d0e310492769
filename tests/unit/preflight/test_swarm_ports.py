"""Who may reach the ports of a Swarm: its hosts, by every address that they come from, and nobody else."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.preflight import cluster_preflight, swarm_ports
from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

A, B, C = "192.0.2.1", "192.0.2.2", "192.0.2.3"


def node(address: str) -> dict[str, Any]:
    return {"name": f"n{address[-1]}", "address": address}


def shown(address: str, admits: list[str] | None, *, kept: bool = True, **changes: Any) -> Shown:
    swarm: Any = {"state": "active", "manager": True, "error": "", "nodes": [node(A), node(B)]}
    host: Any = {}
    own = {"swarm": swarm, "admits": {"addresses": admits, "kept": kept}, **changes}
    return Shown(host, address=address, unmet=[], held=[], **own)


def test_the_hosts_are_admitted_by_their_addresses_and_by_those_that_they_send_from() -> None:
    hosts = {"a": shown(A, None, sources=["198.51.100.1"]), "b": shown(B, None)}
    assert swarm_ports.admitted(hosts) == sorted([A, B, "198.51.100.1"])


def test_a_swarm_with_nodes_of_others_is_left_as_it_is() -> None:
    hosts = {"a": shown(A, None), "c": shown(C, None)}  # b is a node of somebody else
    assert swarm_ports.admitted(hosts) is None
    assert list(swarm_ports.findings(hosts, set())) == []
    [__, said] = cluster_preflight.notices(hosts)
    assert said == (
        "It has nodes of others, which get nothing of this stack: n2. So its ports are left as they are: let nobody "
        "but its nodes reach 2377, 7946 and 4789."
    )


@pytest.mark.parametrize(
    ("own", "wrong"),
    [
        (shown(B, [A, B]), None),
        (shown(B, None), "nothing closes the Swarm's ports to strangers: 2377, 7946 and 4789 are open"),
        (shown(B, [B]), f"it closes the Swarm's ports to {A}, which hosts of the cluster have"),
        (shown(B, [A, B, C]), f"it opens the Swarm's ports to {C}, which no host of the cluster has"),
        (shown(B, [A, B], kept=False), "its next start would leave the Swarm's ports open to strangers"),
        (shown(B, None, swarm=None), None),  # no engine, so nothing is open
        (shown(B, None)._replace(admits=None), None),  # nobody looked
    ],
)
def test_what_differs_is_told_by_host(own: Shown, wrong: str | None) -> None:
    found = list(swarm_ports.findings({"a": shown(A, [A, B]), "b": own}, set()))
    assert [(one.subject, one.wrong, one.mend) for one in found] == ([("b", wrong, ("./sse up",))] if wrong else [])


def test_an_address_may_be_that_of_a_host_that_does_not_answer() -> None:
    assert list(swarm_ports.findings({"a": shown(A, [A, B, C]), "b": shown(B, [A, B])}, {"c"})) == []


def test_the_node_of_a_host_that_does_not_answer_is_none_of_others() -> None:
    hosts = {"a": shown(A, None)}  # the inventory calls the other node n2, too
    assert [(one.subject, one.wrong[:7]) for one in swarm_ports.findings(hosts, {"n2"})] == [("a", "nothing")]
    assert len(list(cluster_preflight.notices(hosts, {"n2"}))) == 1
    assert list(swarm_ports.findings(hosts, {"two"})) == []  # which may be that node, and nobody knows


def test_a_host_that_is_new_is_expected_to_find_the_ports_closed_until_the_run_opens_them() -> None:
    port: Any = {"peer": "a", "protocol": "tcp", "port": 2377, "why": "no answer"}
    asking = shown(C, None)._replace(unmet=[port])
    hosts = {"a": shown(A, [A, B]), "c": asking}
    assert list(cluster_preflight.closed_ports(hosts)) == []
    assert list(cluster_preflight.closed_ports({"a": shown(A, None), "c": asking})) == [("c", port)]
    assert list(cluster_preflight.closed_ports({"a": shown(A, [A, C]), "c": asking})) == [("c", port)]
    sends = asking._replace(sources=["198.51.100.1"])  # since a route was changed
    assert list(cluster_preflight.closed_ports({"a": shown(A, [A, C]), "c": sends})) == []
    assert list(cluster_preflight.closed_ports({"a": shown(A, [A, C, "198.51.100.1"]), "c": sends})) == [("c", port)]
