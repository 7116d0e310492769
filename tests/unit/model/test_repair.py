"""What somebody changed on a container, and the repair of each change."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.observed import Joined, Present
from ansible_collections.sse.platform.plugins.module_utils.model.repair import limits, reasons_to_replace, repairs

SPEC: Any = {"networks": {"n": "10.0.0.2", "m": ""}, "aliases": ["a", "b"], "memory": 64, "pids": 9, "cpu_shares": 512}
PLACE = Joined("id-n", "10.0.0.2", "", frozenset({"a", "b"}))
OTHER = Joined("id-m", "", "", frozenset({"a", "b"}))
NETWORKS = {"n": "id-n", "m": "id-m", "x": "id-x"}


def present(**changes: Any) -> Present:
    usual = Present({"n": PLACE, "m": OTHER}, limits(SPEC), {}, 1.0, frozenset())
    return usual._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({}, []),
        ({"networks": {"m": OTHER}}, [("connect", "connect to n (was detached)")]),
        (
            {"networks": {"n": PLACE._replace(network_id="old"), "m": OTHER}},
            [("connect", "connect to n (the network was made anew)")],
        ),
        (
            {"networks": {"n": PLACE._replace(address="10.0.0.9"), "m": OTHER}},
            [("connect", "connect to n as 10.0.0.2 (has 10.0.0.9)")],
        ),
        (
            {"networks": {"n": PLACE._replace(address=""), "m": OTHER}},
            [("connect", "connect to n as 10.0.0.2 (has an address that the engine chose)")],
        ),
        (
            {"networks": {"n": PLACE, "m": OTHER._replace(aliases=frozenset({"a"}))}},
            [("connect", "connect to m as a, b (its names are a)")],
        ),
        (
            {"networks": {"n": PLACE, "m": OTHER, "x": OTHER}},
            [("disconnect", "disconnect from x (not declared)")],
        ),
        ({"limits": {**limits(SPEC), "memory": 32}}, [("update", "memory: 32 -> 64")]),
        ({"limits": {**limits(SPEC), "restart": "no"}}, [("update", "restart: no -> unless-stopped")]),
        ({"limits": {**limits(SPEC), "cpu_shares": 2}}, [("update", "cpu shares: 2 -> 512")]),
        ({"misled": ("db", "app-1")}, [("names", "/etc/hosts: db, app-1 not as pinned")]),
        ({"networks": {"m": OTHER}, "misled": ("db",)}, [("connect", "connect to n (was detached)")]),
        ({"limits": {"memory": 64}}, []),  # the kernel keeps no other limit
    ],
)
def test_each_change_has_its_smallest_repair(changes: dict[str, Any], found: list[tuple[str, str]]) -> None:
    assert [(one.kind, one.reason) for one in repairs(SPEC, present(**changes), NETWORKS)] == found


def test_a_reserved_ipv6_address_is_compared_too() -> None:
    spec: Any = {**SPEC, "networks6": {"n": "fd00::2"}}
    [found] = repairs(spec, present(), NETWORKS)
    assert (found.kind, found.subject) == ("connect", "n")


def test_a_limit_that_cannot_be_taken_away_is_a_reason_to_replace() -> None:
    assert reasons_to_replace(present(extra_limits={"NanoCpus": 500000000})) == [
        "NanoCpus is 500000000, and nothing declares it"
    ]
    assert reasons_to_replace(present()) == []
