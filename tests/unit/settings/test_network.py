"""Properties of the network settings: what is wrong with one is told by its name, and what an empty one stands for."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import addresses
from ansible_collections.sse.platform.plugins.module_utils.settings import network

SETTINGS: dict[str, Any] = {
    "stack_name": "sse",
    "network_layout": "segmented",
    "network_subnet": "10.99.0.0/24",
    "network_segment_subnets": {},
    "app_replicas": 3,
}
DUAL = {**SETTINGS, "network_ipv6": True, "network_ipv6_subnet": "fd12:3456:789a::/64"}


def problems(subnet: str, gateway: str, ip_range: str, replicas: int) -> list[str]:
    given = {"network_subnet": subnet, "network_gateway": gateway, "network_ip_range": ip_range}
    return network.problems({**given, "app_replicas": replicas})


@pytest.mark.parametrize(
    ("subnet", "said"),
    [
        ("10.99.0.0", "no prefix length"),
        ("10.99.0.0/33", "not an IPv4 network"),
        ("10.99/24", "not an IPv4 network"),
        ("fd00::/64", "not an IPv4 network"),
        ("", "no prefix length"),
        ("10.99.0.1/24", "host bits set; expected 10.99.0.0/24"),
        ("8.8.8.0/24", "not private"),
        ("192.0.2.0/24", "not private"),
        ("10.0.0.0/7", "not private"),
        ("127.0.0.0/24", "not private"),
    ],
)
def test_a_bad_subnet_is_refused_with_what_is_expected(subnet: str, said: str) -> None:
    (text,) = problems(subnet, "", "", 3)
    assert text.startswith(f"network_subnet is '{subnet}': ")
    assert said in text
    assert "expected " in text


@pytest.mark.parametrize("subnet", ["10.99.0.0/24", "172.16.0.0/12", "192.168.7.0/26", "100.64.0.0/24"])
def test_a_private_subnet_is_accepted(subnet: str) -> None:
    assert problems(subnet, "", "", 3) == []


@pytest.mark.parametrize(("replicas", "prefix"), [(1, 26), (11, 26), (12, 25), (43, 25), (44, 24), (64, 24)])
def test_the_lower_half_holds_every_reserved_address(replicas: int, prefix: int) -> None:
    fits, too_small = f"10.9.0.0/{prefix}", f"10.9.0.0/{prefix + 1}"
    assert problems(fits, "", "", replicas) == []
    (text,) = problems(too_small, "", "", replicas)
    assert f"expected /{prefix} or larger" in text
    upper = ipaddress.ip_network(addresses.dynamic_range(ipaddress.IPv4Network(fits)))
    assert not any(ipaddress.IPv4Network(fits)[number] in upper for number in addresses.reserved_numbers(replicas))


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
    (text,) = problems("10.99.0.0/24", gateway, "", 3)
    assert text.startswith(f"network_gateway is '{gateway}': ")
    assert said in text


@pytest.mark.parametrize("gateway", ["10.99.0.1", "10.99.0.254", "10.99.0.24"])
def test_a_free_gateway_is_accepted(gateway: str) -> None:
    assert problems("10.99.0.0/24", gateway, "", 3) == []


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
    (text,) = problems("10.99.0.0/24", "", ip_range, 3)
    assert text.startswith(f"network_ip_range is '{ip_range}': ")
    assert said in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"network_segment_subnets": {"dta": "10.1.0.0/24"}},
            "names 'dta': expected one of app, data, monitoring, ports",
        ),
        (
            {"network_segment_subnets": {"data": "10.99.0.0/16"}},
            "network_segment_subnets.data is '10.99.0.0/16': it overlaps",
        ),
        (
            {"network_segment_subnets": {"data": "10.1.0.0/24", "app": "10.1.0.0/25"}},
            "it overlaps network_segment_subnets.app",
        ),
        (
            {"network_segment_subnets": {"data": "10.1.0.0/27"}},
            "network_segment_subnets.data is '10.1.0.0/27': it is too small",
        ),
        (
            {"network_segment_subnets": {"app": "8.8.8.0/24"}},
            "network_segment_subnets.app is '8.8.8.0/24': it is not private",
        ),
        ({"network_segment_subnets": {"app": "x"}}, "network_segment_subnets.app is 'x': it has no prefix length"),
        (
            {"network_subnet": "192.168.255.0/24"},
            "network_segment_subnets.app is '192.169.0.0/24' (after network_subnet)",
        ),
    ],
)
def test_a_bad_segment_is_told_by_its_name(changes: dict[str, Any], said: str) -> None:
    text = "; ".join(network.problems({**SETTINGS, **changes}))
    assert said in text


def test_in_single_further_subnets_are_not_looked_at() -> None:
    assert network.problems({**SETTINGS, "network_layout": "single", "network_subnet": "192.168.255.0/24"}) == []


@pytest.mark.parametrize(
    ("subnet", "said"),
    [
        ("x", "network_ipv6_subnet is 'x': it is not an IPv6 network"),
        ("10.0.0.0/24", "it is not an IPv6 network"),
        ("fd12::/48", "its prefix is not 64 bits long"),
        ("fd12::5/64", "it has host bits set; expected fd12::/64"),
        ("2001:db8::/64", "it is not a unique local network"),
        ("fd12:3456:789a:ffff::/64", "the last would be in another /48"),
    ],
)
def test_a_bad_ipv6_subnet_is_told_where_networks_have_ipv6(subnet: str, said: str) -> None:
    bad = {**DUAL, "network_ipv6_subnet": subnet}
    assert said in "; ".join(network.problems(bad))
    assert network.problems({**bad, "network_ipv6": False}) == []


def test_an_empty_gateway_stands_for_the_first_address() -> None:
    assert network.derived({"network_subnet": "10.1.0.0/24", "network_gateway": "", "network_ip_range": ""}) == {
        "network_gateway": "10.1.0.1",
        "network_ip_range": "10.1.0.128/25",
        "network_segment_subnets": {
            "app": "10.1.1.0/24",
            "data": "10.1.2.0/24",
            "monitoring": "10.1.3.0/24",
            "ports": "10.1.4.0/24",
        },
    }
