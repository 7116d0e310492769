# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Packets captured in a network namespace by a packet socket (packet(7)), without tcpdump."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import packets

ETH_P_ALL = 0x0003  # linux/if_ether.h, linux/if_packet.h, linux/if_arp.h, asm/socket.h
SOL_PACKET, PACKET_STATISTICS = 263, 6
PACKET_OUTGOING = 4
ARPHRD_LOOPBACK = 772
SO_RCVBUFFORCE, SO_TIMESTAMPNS = 33, 35
BUFFER_BYTES = 8 << 20  # for the packets that arrive while Python works on earlier ones
LARGEST = 1 << 16  # bytes; a packet socket sees a segment before the network card cuts it into packets


class Captured(NamedTuple):
    """The result of a capture."""

    file: bytes  # pcap-savefile(5)
    packets: int
    dropped: int  # packets that the kernel had no room for
    full: bool  # the file was full before the time was over
    lines: list[str]  # who talked to whom


def capture(port: int | None, seconds: float, size: int, snap: int, most: int) -> Captured:
    """Capture in the namespace of the calling thread, until the time is over or the file is full.

    :param port: keep only packets of this TCP or UDP port
    :param size: the most bytes of the file
    :param snap: the most bytes that are kept of a packet
    :param most: the most conversations in the result's lines
    :raises OSError: where no packet socket can be made: that needs the capability CAP_NET_RAW
    """
    parts = [packets.file_header(snap)]
    written, count, full = len(parts[0]), 0, False
    summary = packets.Summary(port)
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as sock:
        with contextlib.suppress(OSError):  # the root user of a container may not
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES)
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        while (left := deadline - time.monotonic()) > 0 and not full:
            if not select.select([sock], [], [], left)[0]:
                break
            body, extra, __, (__, kind, direction, hardware, address) = sock.recvmsg(LARGEST, 64)
            if hardware == ARPHRD_LOOPBACK and direction == PACKET_OUTGOING:
                continue  # it comes in a second time, as incoming
            packet = packets.read(kind, body)
            if not packets.concerns(packet, port):
                continue
            part = packets.record(stamp(extra), direction, hardware, address, kind, body, snap)
            if written + len(part) > size:
                full = True
                break
            parts.append(part)
            written, count = written + len(part), count + 1
            if packet:
                summary.add(packet, len(body))
        __, dropped = struct.unpack("II", sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return Captured(b"".join(parts), count, dropped, full, summary.lines(most))


def stamp(extra: list[tuple[int, int, bytes]]) -> int:
    """Return when the kernel got a packet, in nanoseconds since the epoch (SO_TIMESTAMPNS of socket(7))."""
    for level, kind, data in extra:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data[:16])
            return seconds * 10**9 + nanoseconds
    return time.time_ns()
