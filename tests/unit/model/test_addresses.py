"""Addresses of the stack's network."""

from __future__ import annotations

import ipaddress

from ansible_collections.sse.platform.plugins.module_utils.model import addresses


def test_a_free_subnet_overlaps_nothing_that_is_taken() -> None:
    taken = ["10.0.0.0/9", "10.99.0.0/16", "fe80::/64", "172.17.0.1/16", "no network"]
    free = addresses.free_subnet(taken, 24)
    assert free is not None
    assert not any(
        ipaddress.ip_network(free).overlaps(ipaddress.ip_network(one, strict=False))
        for one in ("10.0.0.0/9", "10.99.0.0/16", "172.17.0.0/16")
    )
    assert addresses.free_subnet(["0.0.0.0/0"], 24) is None


def test_a_stack_has_an_ipv6_subnet_of_its_own_that_stays() -> None:
    found = {name: addresses.own_subnet6(name) for name in ("sse", "sse2", "it")}
    assert found["sse"] == addresses.own_subnet6("sse")
    assert len(set(found.values())) == len(found)
    for text in found.values():
        assert str(addresses.parse_subnet6(text)) == text


def test_networks_of_different_families_do_not_overlap() -> None:
    assert addresses.overlap("fd00::/8", "fd12::/64")
    assert addresses.overlap("10.0.0.1/8", "10.5.0.0/16")
    assert not addresses.overlap("::/0", "10.0.0.0/8")
    assert not addresses.overlap("nonsense", "10.0.0.0/8")


def test_a_free_ipv6_subnet_is_proposed_beside_the_taken_one() -> None:
    assert addresses.free_subnet6(["fd12:0:0:1::/64", "10.0.0.0/8"], "fd12::/64") == "fd12:0:0:2::/64"
    assert addresses.free_subnet6([], "fd12:0:0:4::b:0/112") == "fd12:0:0:5::/64"
    assert addresses.free_subnet6(["fd00::/8"], "fd12::/64") is None
