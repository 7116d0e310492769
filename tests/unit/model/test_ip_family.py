"""Properties of address families: ports have twins where wanted, and a release is seen one family at a time."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6


def port(host_ip: str, number: int = 80) -> Any:
    return {"host_ip": host_ip, "host_port": number, "container_port": 80}


@pytest.mark.parametrize(
    ("host_ip", "loopback", "published"),
    [
        ("0.0.0.0", False, ["0.0.0.0", "::"]),
        ("127.0.0.1", False, ["127.0.0.1"]),
        ("127.0.0.1", True, ["127.0.0.1", "::1"]),
        ("192.0.2.7", True, ["192.0.2.7"]),
        ("::", True, ["::"]),
    ],
)
def test_a_port_is_published_on_the_other_family_as_widely(host_ip: str, loopback: bool, published: list[str]) -> None:
    ports = ip_family.with_twins([port(host_ip)], ip_family.twins(loopback=loopback))
    assert [one["host_ip"] for one in ports] == published


def test_a_twin_that_is_declared_already_is_not_added_again() -> None:
    ports = [port("0.0.0.0"), port("::"), port("0.0.0.0", 81)]
    assert ip_family.with_twins(ports, ip_family.twins(loopback=False)) == [*ports, port("::", 81)]


def test_a_release_is_seen_one_family_at_a_time() -> None:
    pool = {"subnet": "fd00::/64", "gateway": "fd00::1", "ip_range": "fd00::8000/113"}
    plain = {"subnet": "10.0.0.0/24", "gateway": "10.0.0.1", "ip_range": "10.0.0.128/25"}
    release: Any = {
        "networks": {"dual": {"name": "dual", **plain, "ipv6": pool}, "plain": {"name": "plain", **plain}},
        "containers": {
            "a": {
                "networks": {"dual": "10.0.0.9"},
                "networks6": {"dual": "fd00::9"},
                "ports": [port("::"), port("0.0.0.0")],
            },
            "b": {"networks": {"plain": "10.0.0.8"}, "ports": [port("127.0.0.1")]},
        },
        "allow_from": ["192.0.2.0/24"],
    }
    seen = ip_family.in_family(release, IPV6)
    assert {name: one["subnet"] for name, one in seen["networks"].items()} == {"dual": "fd00::/64"}
    assert {name: one["networks"] for name, one in seen["containers"].items()} == {"a": {"dual": "fd00::9"}, "b": {}}
    assert seen["containers"]["a"]["ports"] == [port("::")]
    seen = ip_family.in_family(release, IPV4)
    assert {name: one["subnet"] for name, one in seen["networks"].items()} == dict.fromkeys(
        ["dual", "plain"], "10.0.0.0/24"
    )
    assert seen["containers"]["a"]["ports"] == [port("0.0.0.0")]


def test_addresses_are_told_from_names_and_written_as_urls_do() -> None:
    assert [ip_family.is_address(one) for one in ("10.0.0.1", "fd00::1", "kafka", "10.0.0")] == [
        True,
        True,
        False,
        False,
    ]
    assert [ip_family.url_host(one) for one in ("10.0.0.1", "fd00::1", "kafka")] == ["10.0.0.1", "[fd00::1]", "kafka"]
    assert [ip_family.is_loopback(one) for one in ("127.0.0.2", "::1", "::", "10.0.0.1")] == [True, True, False, False]
