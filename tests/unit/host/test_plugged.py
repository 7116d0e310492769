"""A container reaches a network by an interface that has its address, is up, and is on the bridge of that network."""

from __future__ import annotations

import socket
import struct

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import netlink
from ansible_collections.sse.platform.plugins.module_utils.host.netlink import Link
from ansible_collections.sse.platform.plugins.module_utils.host.plugged import faults, without_way_out
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6
from ansible_collections.sse.platform.plugins.module_utils.model.types import Interface, Route

ETH0 = Link(2, "eth0", up=True, peer=31, master=0)
VETH = Link(31, "veth1", up=True, peer=2, master=30)
BRIDGE = Link(30, "br-sse", up=True, peer=0, master=0)
HAS: list[Interface] = [{"name": "eth0", "addresses": ["10.99.0.21/24"]}]


@pytest.mark.parametrize(
    ("interfaces", "inside", "outside", "said"),
    [
        (HAS, ETH0, [BRIDGE, VETH], ""),
        ([], ETH0, [BRIDGE, VETH], "its address 10.99.0.21 is gone"),
        (HAS, ETH0._replace(up=False), [BRIDGE, VETH], "its interface is down"),
        (HAS, ETH0, [BRIDGE, VETH._replace(up=False)], "its interface is down"),
        (HAS, ETH0, [BRIDGE, VETH._replace(master=0)], "its interface is not on the bridge br-sse"),
        (HAS, ETH0, [VETH], "its interface is not on the bridge br-sse"),
        (HAS, ETH0, [BRIDGE._replace(name="br-other"), VETH], "its interface is not on the bridge br-sse"),
        (HAS, ETH0._replace(peer=0), [BRIDGE], ""),
        ([], ETH0, [BRIDGE._replace(name="br-other"), VETH], "its interface is gone"),
    ],
)
def test_what_cuts_a_container_off_is_named(
    interfaces: list[Interface], inside: Link, outside: list[Link], said: str
) -> None:
    found = dict(faults({"sse-network": "10.99.0.21"}, {"sse-network": "br-sse"}, interfaces, [inside], outside))
    assert found == ({"sse-network": said} if said else {})


@pytest.mark.parametrize(
    ("has", "six", "said"),
    [
        (["fd99::15/64"], "fd99::15", ""),
        ([], "fd99::15", "its address fd99::15 is gone"),
        (["fd99::16/64"], "fd99::15", "its address fd99::15 is gone"),
        ([], "", ""),  # the network has no IPv6
    ],
)
def test_an_address_of_ipv6_that_is_gone_is_named(has: list[str], six: str, said: str) -> None:
    interfaces: list[Interface] = [*HAS, {"name": "eth0", "addresses": has}]
    addresses, bridges = {"sse-network": "10.99.0.21"}, {"sse-network": "br-sse"}
    found = dict(faults(addresses, bridges, interfaces, [ETH0], [BRIDGE, VETH], {"sse-network": six} if six else {}))
    assert found == ({"sse-network": said} if said else {})


@pytest.mark.parametrize(
    ("defaults", "six", "ways_out", "said"),
    [
        (["0.0.0.0/0"], "", ["sse-network"], ""),
        ([], "", [], ""),  # an internal network leads nowhere
        ([], "", ["sse-network"], "its default route of IPv4 is gone"),
        (["::/0"], "fd99::15", ["sse-network"], "its default route of IPv4 is gone"),
        (["0.0.0.0/0"], "fd99::15", ["sse-network"], "its default route of IPv6 is gone"),
        (["0.0.0.0/0", "::/0"], "fd99::15", ["sse-network"], ""),
        ([], "", ["another"], ""),
    ],
)
def test_a_default_route_that_is_gone_is_named(defaults: list[str], six: str, ways_out: list[str], said: str) -> None:
    routes = [Route(destination=one, device="eth0", protocol=2) for one in ("10.99.0.0/24", *defaults)]
    addresses = ({"sse-network": "10.99.0.21"}, {"sse-network": six})
    found = dict(without_way_out(addresses, {"sse-network": "br-sse", "another": "br-b"}, routes, ways_out))
    assert found == ({"sse-network": said} if said else {})


def test_the_kernel_lists_its_own_interfaces() -> None:
    loopback = next(one for one in netlink.links() if one.name == "lo")
    assert loopback == Link(1, "lo", up=True, peer=0, master=0)
    assert loopback.kind == ""


class WithoutIPv6:
    """The kernel's channel where IPv6 is switched off: whatever is asked for, it answers with what it has, IPv4."""

    def __init__(self, *_: object) -> None:
        body = struct.pack("=BBBBI", socket.AF_INET, 8, 0, 0, 1) + struct.pack("=HH4s", 8, 2, b"\x7f\0\0\1")
        done = struct.pack("=IHHII", 16, netlink.NLMSG_DONE, 0, 1, 0)
        self.answer = struct.pack("=IHHII", 16 + len(body), netlink.RTM_NEWADDR, 0, 1, 0) + body + done

    def __enter__(self) -> WithoutIPv6:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def send(self, data: bytes) -> None:
        pass

    def recv(self, _: int) -> bytes:
        return self.answer


def test_a_host_without_ipv6_has_no_addresses_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netlink.socket, "socket", WithoutIPv6)
    assert netlink.interfaces(IPV4) == [{"name": "lo", "addresses": ["127.0.0.1/8"]}]
    assert netlink.interfaces(IPV6) == []
