"""Who may reach the published ports of a cluster, and what is told of a host on which that is not so, as a table."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.preflight import edge_ports
from ansible_collections.sse.platform.plugins.module_utils.preflight.cluster_preflight import Shown

NET, A, B = "10.0.0.0/8", "192.0.2.1/32", "192.0.2.2/32"
GOOD: dict[str, Any] = {"sources": [NET, A, B], "ports": [80, 443], "kept": True, "there": True}
NONE: dict[str, Any] = {"sources": [], "ports": [], "kept": False, "there": False}


def shown(address: str, edge: Any = None, **changes: Any) -> Shown:
    host: Any = {"engine": {}}
    return Shown(host, None, address, [], [], edge=edge, **changes)


def test_the_hosts_of_the_cluster_are_let_in_too_since_they_try_the_ports() -> None:
    hosts = {"a": shown("192.0.2.1", sources=["198.51.100.1"]), "b": shown("192.0.2.2")}
    assert edge_ports.sources([NET], hosts) == [NET, A, B, "198.51.100.1/32"]
    assert edge_ports.sources([], hosts) == edge_ports.sources(["0.0.0.0/0"], hosts) == []


@pytest.mark.parametrize(
    ("edge", "wrong"),
    [
        (GOOD, None),
        (None, None),  # nobody looked
        (NONE, "nothing closes 80 and 443 to networks that exposure_allow_from does not name"),
        ({**GOOD, "ports": [80]}, "nothing closes 80 and 443 to networks that exposure_allow_from does not name"),
        ({**GOOD, "sources": [NET, A]}, f"it closes 80 and 443 to {B}"),
        ({**GOOD, "sources": [NET, A, B, "0.0.0.0/1"]}, "it opens 80 and 443 to 0.0.0.0/1, which exposure_allow_from"),
        ({**GOOD, "kept": False}, "its next start would leave 80 and 443 open to everybody"),
    ],
)
def test_what_differs_is_told_by_host(edge: Any, wrong: str | None) -> None:
    found = list(edge_ports.findings({"a": shown("192.0.2.1", edge)}, [NET, A, B], {"a": [443, 80]}))
    assert [(one.rule, one.subject) for one in found] == ([("edge-ports", "a")] if wrong else [])
    assert all(one.wrong.startswith(wrong or "") for one in found)


def test_a_chain_that_no_setting_wants_is_told() -> None:
    hosts = {"a": shown("192.0.2.1", GOOD), "b": shown("192.0.2.2", NONE)}
    assert [one.subject for one in edge_ports.findings(hosts, [], {"a": [80], "b": [80]})] == ["a"]
    assert [one.subject for one in edge_ports.findings(hosts, [NET], {"a": [], "b": []})] == ["a"]


def test_addresses_of_hosts_that_do_not_answer_are_not_held_against_a_host() -> None:
    hosts = {"a": shown("192.0.2.1", GOOD)}
    assert list(edge_ports.findings(hosts, [NET, A], {"a": [80, 443]}, {"b"})) == []
    assert len(list(edge_ports.findings(hosts, [NET, A], {"a": [80, 443]}))) == 1
