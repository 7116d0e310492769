# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The kernel's interfaces and routes, read by rtnetlink(7) from every routing table, without the command ip."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, Family

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Interface, Route

# linux/rtnetlink.h, linux/netlink.h, linux/if_addr.h, linux/if_link.h
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
NLM_F_REQUEST_DUMP = 0x301
NLMSG_ERROR, NLMSG_DONE = 2, 3
IFLA_IFNAME, IFLA_LINK, IFLA_MASTER, IFLA_LINKINFO = 3, 5, 10, 18
IFLA_INFO_KIND = 1  # within IFLA_LINKINFO
BRIDGE = "bridge"  # a kind of interface
IFF_UP = 0x1  # netdevice(7)
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF = 1, 4
RTN_UNICAST = 1
RTPROT_RA = 9  # the route comes from a router advertisement
SIOCGIFMTU = 0x8921  # netdevice(7)
ETHERNET_MTU = 1500  # bytes; what the engine gives a network unless told otherwise


class Link(NamedTuple):
    """An interface; a number of another one is 0 where there is none."""

    number: int
    name: str
    up: bool
    peer: int  # of a pair: the number of the other end, in the namespace that it is in
    master: int  # the number of the bridge that it is on
    kind: str = ""  # such as bridge or veth; empty for hardware and the loopback interface


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            break
        found[kind] = data[4:length]
        data = data[(length + 3) & ~3 :]
    return found


def _dump(domain: int, request: int, answer: int, header: int) -> Iterator[tuple[bytes, dict[int, bytes]]]:
    """Ask for all entries of one kind and family; yield the fixed header and the attributes of each."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as channel:
        body = struct.pack("=B", domain).ljust(header, b"\0")
        channel.send(struct.pack("=IHHII", 16 + len(body), request, NLM_F_REQUEST_DUMP, 1, 0) + body)
        while True:
            data = channel.recv(1 << 18)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                # A kernel without IPv6 answers with every family that it has. Each header begins with its family.
                if kind == answer and data[16] == domain:
                    yield data[16 : 16 + header], _attributes(data[16 + header : length])
                data = data[(length + 3) & ~3 :]


def _device(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"#{index}"


def links() -> list[Link]:
    """List the interfaces of the calling thread's namespace, also those without an address."""
    found: list[Link] = []
    for header, attributes in _dump(socket.AF_UNSPEC, RTM_GETLINK, RTM_NEWLINK, 16):
        number, flags = struct.unpack_from("=iI", header, 4)
        details = _attributes(attributes.get(IFLA_LINKINFO, b""))
        name, kind = (
            text.rstrip(b"\0").decode(errors="replace")
            for text in (attributes.get(IFLA_IFNAME, b""), details.get(IFLA_INFO_KIND, b""))
        )
        peer, master = (struct.unpack("=I", attributes.get(key, bytes(4)))[0] for key in (IFLA_LINK, IFLA_MASTER))
        found.append(Link(number, name, bool(flags & IFF_UP), peer, master, kind))
    return found


def interfaces(family: Family = IPV4) -> list[Interface]:
    """List the interfaces of the calling thread's namespace that have an address, without link-local IPv6 addresses."""
    found: dict[str, list[str]] = {}
    for header, attributes in _dump(family.domain, RTM_GETADDR, RTM_NEWADDR, 8):
        __, prefix, __, __, index = struct.unpack("=BBBBI", header)
        address = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if address and not (family is IPV6 and ipaddress.IPv6Address(address).is_link_local):
            found.setdefault(_device(index), []).append(f"{socket.inet_ntop(family.domain, address)}/{prefix}")
    return [{"name": name, "addresses": addresses} for name, addresses in found.items()]


def routes(family: Family = IPV4) -> list[Route]:
    """List the routes of the calling thread's namespace that lead to others, from every table.

    Link-local and multicast IPv6 routes are left out: every interface has them.
    """
    found: list[Route] = []
    for header, attributes in _dump(family.domain, RTM_GETROUTE, RTM_NEWROUTE, 12):
        prefix, protocol, kind = header[1], header[5], header[7]
        packed = attributes.get(RTA_DST, bytes(len(socket.inet_pton(family.domain, family.wildcard))))
        destination = ipaddress.ip_address(packed)
        local = family is IPV6 and (destination.is_link_local or destination.is_multicast)
        if kind == RTN_UNICAST and not local:
            index = struct.unpack("=I", attributes[RTA_OIF])[0] if RTA_OIF in attributes else 0
            device = _device(index) if index else ""
            found.append({"destination": f"{destination}/{prefix}", "device": device, "protocol": protocol})
    return found


def mtu(device: str) -> int:
    """Return the largest packet, in bytes, that a device of the calling thread's namespace carries (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFMTU, struct.pack("16sI", device.encode()[:15], 0))
    return struct.unpack("16xI", answer)[0]


def uplink(table: list[Route]) -> str:
    """Return the device of the default IPv4 route; empty where there is none."""
    return next((route["device"] for route in table if route["destination"] == "0.0.0.0/0"), "")


def uplink_mtu(table: list[Route]) -> int:
    """Return the largest packet, in bytes, that the default route's device carries; Ethernet's where there is none."""
    device = uplink(table)
    return mtu(device) if device else ETHERNET_MTU
