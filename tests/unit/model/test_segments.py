"""Properties of the network layouts: subnets follow one another."""

from __future__ import annotations

import ipaddress
import itertools
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import segments

SETTINGS: Any = {
    "stack_name": "sse",
    "network_layout": "segmented",
    "network_name": "sse-network",
    "network_subnet": "10.99.0.0/24",
    "network_gateway": "10.99.0.1",
    "network_ip_range": "10.99.0.128/25",
    "network_segment_subnets": {},
    "network_ipv6": False,
}


def test_segments_follow_the_first_subnet_in_its_size_unless_named() -> None:
    assert segments.subnets("10.0.0.64/26", {}) == {
        "app": "10.0.0.128/26",
        "data": "10.0.0.192/26",
        "monitoring": "10.0.1.0/26",
        "ports": "10.0.1.64/26",
    }
    given: Any = {**SETTINGS, "network_segment_subnets": {"data": "10.50.0.0/24"}}
    assert segments.networks(given)["data"]["subnet"] == "10.50.0.0/24"


def test_single_has_one_network_and_segmented_five() -> None:
    single: Any = {**SETTINGS, "network_layout": "single"}
    assert list(segments.networks(single)) == ["network"]
    networks = segments.networks(SETTINGS)
    assert [(name, one["name"], one["internal"]) for name, one in networks.items()] == [
        ("network", "sse-network", False),
        ("app", "sse-app", False),
        ("data", "sse-data", True),
        ("monitoring", "sse-monitoring", True),
        ("ports", "sse-ports", False),
    ]


def test_a_swarm_has_no_network_for_ports_and_one_without_a_way_out() -> None:
    swarm: Any = {**SETTINGS, "deployment": "swarm"}
    networks = segments.networks(swarm)
    assert [(name, one["internal"]) for name, one in networks.items()] == [
        ("network", False),
        ("app", False),
        ("data", True),
        ("monitoring", False),
    ]


def test_each_network_of_a_swarm_is_encrypted_where_that_is_asked_for() -> None:
    swarm: Any = {**SETTINGS, "deployment": "swarm", "network_encrypted": True}
    networks = segments.networks(swarm)
    assert [one.get("encrypted") for one in networks.values()] == [True] * 4


def test_bridges_of_their_own_overlap_nobody_else_s() -> None:
    ports = segments.networks(SETTINGS)["ports"]
    subnets = [ipaddress.IPv4Network(segments.own_bridge(ports, "x", number)["subnet"]) for number in range(10, 74)]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(subnets, 2))
    assert all(one.subnet_of(ipaddress.IPv4Network(ports["subnet"])) for one in subnets)
    for number in (None, 9, 74):
        with pytest.raises(ValueError, match="from 10 to 73"):
            segments.own_bridge(ports, "x", number)


@pytest.mark.parametrize("stack", ["s", "sse", "a-stack-of-20-letters"[:20]])
def test_the_kernel_takes_every_bridge_s_name(stack: str) -> None:
    settings: Any = {**SETTINGS, "stack_name": stack}
    networks = segments.networks(settings)
    devices = [one["device"] for one in networks.values()]
    assert len(set(devices)) == len(devices)
    assert all(len(one) <= 15 and one.startswith("br-") for one in devices)


DUAL: Any = {**SETTINGS, "network_ipv6": True, "network_ipv6_subnet": "fd12:3456:789a::/64"}


def test_with_ipv6_every_network_has_a_64_of_its_own_and_without_none() -> None:
    networks: Any = segments.networks(DUAL)
    pools = {name: one["ipv6"] for name, one in networks.items()}
    assert [one["subnet"] for one in pools.values()] == [
        "fd12:3456:789a::/64", *(f"fd12:3456:789a:{number}::/64" for number in range(1, 5))
    ]  # fmt: skip
    assert pools["network"] == {
        "subnet": "fd12:3456:789a::/64",
        "gateway": "fd12:3456:789a::1",
        "ip_range": "fd12:3456:789a::8000/113",
    }
    assert not any("ipv6" in one for one in segments.networks(SETTINGS).values())


def test_bridges_of_their_own_overlap_nobody_else_s_in_ipv6_either() -> None:
    ports: Any = segments.networks(DUAL)["ports"]
    own: Any = [segments.own_bridge(ports, "x", number) for number in range(10, 74)]
    subnets = [ipaddress.IPv6Network(one["ipv6"]["subnet"]) for one in own]
    assert not any(one.overlaps(other) for one, other in itertools.combinations(subnets, 2))
    for one, subnet in zip(own, subnets, strict=True):
        assert subnet.subnet_of(ipaddress.IPv6Network(ports["ipv6"]["subnet"]))
        assert ipaddress.IPv6Address(one["address6"]) in subnet
        assert ipaddress.IPv6Address(one["address6"]) not in ipaddress.IPv6Network(one["ipv6"]["ip_range"])
        assert one["address6"] != one["ipv6"]["gateway"]
