"""Addresses of the stack's network."""

from __future__ import annotations

import ipaddress

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import addresses


@pytest.mark.parametrize(
    ("subnet", "said"),
    [
        ("10.99.0.0", "no prefix length"),
        ("10.99.0.0/33", "not an IPv4 network"),
        ("10.99/24", "not an IPv4 network"),
        ("fd00::/64", "not an IPv4 network"),
        ("", "no prefix length"),
        ("10.99.0.1/24", "host bits set; accepted is 10.99.0.0/24"),
        ("8.8.8.0/24", "not private"),
        ("192.0.2.0/24", "not private"),
        ("10.0.0.0/7", "not private"),
        ("127.0.0.0/24", "not private"),
    ],
)
def test_a_bad_subnet_is_refused_with_what_is_accepted(subnet: str, said: str) -> None:
    (text,) = addresses.problems(subnet, "", "", replicas=3)
    assert text.startswith(f"network_subnet is '{subnet}': ")
    assert said in text
    assert "accepted is" in text


@pytest.mark.parametrize("subnet", ["10.99.0.0/24", "172.16.0.0/12", "192.168.7.0/26", "100.64.0.0/24"])
def test_a_private_subnet_is_accepted(subnet: str) -> None:
    assert addresses.problems(subnet, "", "", replicas=3) == []


@pytest.mark.parametrize(("replicas", "prefix"), [(1, 26), (11, 26), (12, 25), (43, 25), (44, 24), (64, 24)])
def test_the_lower_half_holds_every_reserved_address(replicas: int, prefix: int) -> None:
    fits, too_small = f"10.9.0.0/{prefix}", f"10.9.0.0/{prefix + 1}"
    assert addresses.problems(fits, "", "", replicas) == []
    (text,) = addresses.problems(too_small, "", "", replicas)
    assert f"accepted is /{prefix} or larger" in text
    upper = ipaddress.ip_network(addresses.upper_half(ipaddress.IPv4Network(fits)))
    assert not any(
        ipaddress.ip_address(addresses.host_address(fits, number)) in upper
        for number in addresses.reserved_numbers(replicas)
    )


@pytest.mark.parametrize(
    ("gateway", "said"),
    [
        ("10.98.0.1", "outside of network_subnet"),
        ("10.99.0.0", "broadcast"),
        ("10.99.0.255", "broadcast"),
        ("10.99.0.11", "host number 11 is reserved"),
        ("10.99.0.23", "host number 23 is reserved"),
        ("10.99.0", "not an IPv4 address"),
    ],
)
def test_a_bad_gateway_is_refused(gateway: str, said: str) -> None:
    (text,) = addresses.problems("10.99.0.0/24", gateway, "", replicas=3)
    assert text.startswith(f"network_gateway is '{gateway}': ")
    assert said in text


@pytest.mark.parametrize("gateway", ["10.99.0.1", "10.99.0.254", "10.99.0.24"])
def test_a_free_gateway_is_accepted(gateway: str) -> None:
    assert addresses.problems("10.99.0.0/24", gateway, "", replicas=3) == []


@pytest.mark.parametrize(
    ("ip_range", "said"),
    [
        ("10.98.0.128/25", "outside of network_subnet"),
        ("10.99.0.0/25", "10.99.0.10, which is reserved"),
        ("10.99.0.16/30", "10.99.0.16, which is reserved"),
        ("10.99.0.129/25", "not an IPv4 network"),
        ("upper", "not an IPv4 network"),
    ],
)
def test_a_bad_range_is_refused(ip_range: str, said: str) -> None:
    (text,) = addresses.problems("10.99.0.0/24", "", ip_range, replicas=3)
    assert text.startswith(f"network_ip_range is '{ip_range}': ")
    assert said in text


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
