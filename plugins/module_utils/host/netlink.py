"""The kernel's interfaces and routes, read by rtnetlink(7) from every table and without the ip command."""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, Family

Json = dict[str, Any]

RTM_NEWADDR, RTM_GETADDR = 20, 22


RTM_NEWROUTE, RTM_GETROUTE = 24, 26


NLM_F_REQUEST_DUMP = 0x301


NLMSG_ERROR, NLMSG_DONE = 2, 3


IFA_ADDRESS, IFA_LOCAL = 1, 2


RTA_DST, RTA_OIF = 1, 4


RTN_UNICAST = 1


RTPROT_RA = 9


SIOCGIFMTU = 0x8921  # netdevice(7)


ETHERNET_MTU = 1500  # bytes; what the engine gives a network unless told otherwise


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
    """The kernel's entries of one kind and family: fixed header and attributes of each."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as channel:
        body = struct.pack("=B", domain).ljust(header, b"\0")
        channel.send(struct.pack("=IHHII", 16 + len(body), request, NLM_F_REQUEST_DUMP, 1, 0) + body)
        while True:
            data = channel.recv(1 << 18)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind in (NLMSG_DONE, NLMSG_ERROR):
                    return
                if kind == answer:
                    yield data[16 : 16 + header], _attributes(data[16 + header : length])
                data = data[(length + 3) & ~3 :]


def _device(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return f"#{index}"


def interfaces(family: Family = IPV4) -> list[Json]:
    """Every interface with an address: name and addresses in CIDR notation. Link-local ones are no network's."""
    found: dict[str, list[str]] = {}
    for header, attributes in _dump(family.domain, RTM_GETADDR, RTM_NEWADDR, 8):
        _, prefix, _, _, index = struct.unpack("=BBBBI", header)
        address = attributes.get(IFA_LOCAL) or attributes.get(IFA_ADDRESS)
        if address and not (family is IPV6 and ipaddress.IPv6Address(address).is_link_local):
            found.setdefault(_device(index), []).append(f"{socket.inet_ntop(family.domain, address)}/{prefix}")
    return [{"name": name, "addresses": addresses} for name, addresses in found.items()]


def routes(family: Family = IPV4) -> list[Json]:
    """Every route of every table that leads somewhere else: destination in CIDR notation, device, and who made it."""
    found: list[Json] = []
    for header, attributes in _dump(family.domain, RTM_GETROUTE, RTM_NEWROUTE, 12):
        prefix, protocol, kind = header[1], header[5], header[7]
        destination = attributes.get(RTA_DST, bytes(len(socket.inet_pton(family.domain, family.wildcard))))
        local = (
            family is IPV6
            and (address := ipaddress.IPv6Address(destination))
            and (address.is_link_local or address.is_multicast)
        )
        if kind == RTN_UNICAST and not local:
            index = struct.unpack("=I", attributes[RTA_OIF])[0] if RTA_OIF in attributes else 0
            found.append(
                {
                    "destination": f"{socket.inet_ntop(family.domain, destination)}/{prefix}",
                    "device": _device(index) if index else "",
                    "protocol": protocol,
                }
            )
    return found


def mtu(device: str) -> int:
    """The largest packet that a device of the calling thread's namespace carries, in bytes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        answer = fcntl.ioctl(sock, SIOCGIFMTU, struct.pack("16sI", device.encode()[:15], 0))
    return struct.unpack("16xI", answer)[0]


def uplink(table: list[Json]) -> str:
    """The device of the default route; empty where there is none."""
    return next((route["device"] for route in table if route["destination"] == "0.0.0.0/0"), "")


def uplink_mtu(table: list[Json]) -> int:
    """The largest packet that the way out carries; Ethernet's where there is none."""
    device = uplink(table)
    return mtu(device) if device else ETHERNET_MTU
