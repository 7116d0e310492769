# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""TCP sockets of the calling thread's network namespace, asked of the kernel one by one (sock_diag(7)).

The files /proc/net/tcp and tcp6 tell the same. But for each piece of such a file the kernel walks through the table of
all connections of all namespaces, which takes milliseconds on a big machine.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host.netlink import NLMSG_DONE, NLMSG_ERROR

if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h, include/net/tcp_states.h
NETLINK_SOCK_DIAG, SOCK_DIAG_BY_FAMILY = 4, 20
REQUEST, REQUEST_DUMP = 0x1, 0x301
ESTABLISHED, LISTEN = 1, 10
ANY_STATE = 0xFFFFFFFF
NO_COOKIE = struct.pack("=II", 0xFFFFFFFF, 0xFFFFFFFF)
FAMILIES = (socket.AF_INET, socket.AF_INET6)
SECONDS = 5.0  # the kernel answers at once

Target = tuple[str, int]  # address and port


def listening() -> Iterator[tuple[str, int, int]]:
    """Yield address, port and inode of each socket that waits for connections.

    :raises OSError: this kernel does not answer such questions
    """
    for family in FAMILIES:
        for answer in _ask(family, 1 << LISTEN, REQUEST_DUMP):
            (port,) = struct.unpack_from(">H", answer, 4)
            packed = answer[8:12] if answer[0] == socket.AF_INET else answer[8:24]
            yield _plain(ipaddress.ip_address(packed)), port, struct.unpack_from("=I", answer, 68)[0]


def is_accepted(local: Target, remote: Target) -> bool | None:
    """Tell whether a program has the socket of a connection; None where the connection has no end here.

    :raises OSError: this kernel does not answer such questions
    """
    version6 = ":" in local[0]
    size = 16 if version6 else 4
    ends = [ipaddress.ip_address(address).packed[:size].ljust(16, b"\0") for address, __ in (local, remote)]
    socket_id = struct.pack(">HH", local[1], remote[1]) + b"".join(ends) + struct.pack("=I", 0) + NO_COOKIE
    try:
        answers = list(_ask(FAMILIES[version6], ANY_STATE, REQUEST, socket_id))
    except FileNotFoundError:
        return None
    state, (inode,) = answers[0][1], struct.unpack_from("=I", answers[0], 68)
    return inode != 0 if state == ESTABLISHED else None


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    return str((address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address)


def _ask(family: int, states: int, how: int, socket_id: bytes = bytes(48)) -> Iterator[bytes]:
    """Ask for sockets; yield each answer without the header of the message.

    :raises OSError: the kernel refuses; FileNotFoundError where there is no such socket
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_SOCK_DIAG) as channel:
        channel.settimeout(SECONDS)
        body = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, states) + socket_id
        channel.send(struct.pack("=IHHII", 16 + len(body), SOCK_DIAG_BY_FAMILY, how, 1, 0) + body)
        while True:
            data = channel.recv(1 << 18)
            while data:
                length, kind = struct.unpack_from("=IH", data)
                if kind == NLMSG_ERROR:
                    number = -struct.unpack_from("=i", data, 16)[0]
                    raise OSError(number, f"sock_diag: {os.strerror(number)}")
                if kind == NLMSG_DONE:
                    return
                yield data[16:length]
                if how == REQUEST:
                    return
                data = data[(length + 3) & ~3 :]
