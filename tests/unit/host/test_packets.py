"""Packets are written as pcap(5) says, read by their headers, and summed up as conversations."""

from __future__ import annotations

import socket
import struct

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import packets
from ansible_collections.sse.platform.plugins.module_utils.host.capture import stamp
from ansible_collections.sse.platform.plugins.module_utils.host.packets import ACK, RST, SYN, Packet

IPV4, IPV6 = packets.ETH_IPV4, packets.ETH_IPV6


V6 = bytes(15) + b"\1" + bytes(15) + b"\2"  # from ::1 to ::2
FROM_5_TO_80 = ("10.0.0.1", 5, "10.0.0.2", 80)


def ipv4(source: str, target: str, number: int, payload: bytes, fragment: int = 0, options: bytes = b"") -> bytes:
    length = (20 + len(options)) // 4
    head = struct.pack(">BBHHHBBH", 0x40 | length, 0, 20 + len(payload), 0, fragment, 64, number, 0)
    return head + socket.inet_aton(source) + socket.inet_aton(target) + options + payload


def tcp(source: int, target: int, flags: int, sequence: int = 1) -> bytes:
    return struct.pack(">HHIIBBHHH", source, target, sequence, 0, 0x50, flags, 0, 0, 0)


def test_a_file_is_what_libpcap_reads() -> None:
    """The layout of pcap-savefile(5); tcpdump 4.99 reads such a file (tried by hand)."""
    body = ipv4("10.0.0.1", "10.0.0.2", 6, tcp(40000, 80, SYN))
    data = packets.file_header(256) + packets.record(1_500_000_001, 4, 1, b"\2\0\0\0\0\1", IPV4, body, 256)
    assert struct.unpack_from("<IHHiIII", data) == (0xA1B23C4D, 2, 4, 0, 0, 256, 113)
    seconds, nanoseconds, kept, whole = struct.unpack_from("<IIII", data, 24)
    assert (seconds, nanoseconds, kept, whole) == (1, 500_000_001, 16 + len(body), 16 + len(body))
    assert struct.unpack_from(">HHH8sH", data, 40) == (4, 1, 6, b"\2\0\0\0\0\1\0\0", IPV4)
    assert data[56:] == body


def test_a_packet_is_cut_and_its_length_kept() -> None:
    data = packets.record(0, 0, 1, b"", IPV4, bytes(1000), 64)
    assert struct.unpack_from("<II", data, 8) == (64, 1016)
    assert len(data) == 16 + 64


@pytest.mark.parametrize(
    ("kind", "body", "expected"),
    [
        (IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, tcp(5, 80, SYN, 9)), Packet("tcp", *FROM_5_TO_80, SYN, 9)),
        (
            IPV4,
            ipv4("10.0.0.1", "10.0.0.2", 6, tcp(5, 80, ACK), options=bytes(8)),
            Packet("tcp", *FROM_5_TO_80, ACK, 1),
        ),
        (
            IPV4,
            ipv4("10.0.0.1", "10.0.0.2", 17, struct.pack(">HHHH", 5, 53, 8, 0)),
            Packet("udp", "10.0.0.1", 5, "10.0.0.2", 53),
        ),
        (IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, bytes(8), fragment=100), Packet("udp", "10.0.0.1", 0, "10.0.0.2", 0)),
        (IPV4, ipv4("10.0.0.1", "10.0.0.2", 1, bytes(8)), Packet("icmp", "10.0.0.1", 0, "10.0.0.2", 0)),
        (IPV6, b"\x60" + bytes(5) + b"\x06\x40" + V6 + tcp(5, 80, SYN), Packet("tcp", "::1", 5, "::2", 80, SYN, 1)),
        (
            IPV6,
            b"\x60" + bytes(5) + b"\x00\x40" + V6 + b"\x06" + bytes(7) + tcp(5, 80, SYN),
            Packet("tcp", "::1", 5, "::2", 80, SYN, 1),
        ),
        (0x0806, bytes(28), None),  # ARP
        (IPV4, ipv4("10.0.0.1", "10.0.0.2", 6, b"\0"), None),
        (IPV4, b"", None),
        (IPV6, bytes(7), None),
    ],
)
def test_a_packet_is_read_by_its_headers(kind: int, body: bytes, expected: Packet | None) -> None:
    assert packets.read(kind, body) == expected


def test_a_port_chooses_its_packets_and_no_port_chooses_all() -> None:
    packet = Packet("tcp", "10.0.0.1", 40000, "10.0.0.2", 80)
    assert packets.concerns(packet, 80)
    assert packets.concerns(packet, 40000)
    assert not packets.concerns(packet, 81)
    assert packets.concerns(None, None)
    assert not packets.concerns(None, 80)


def summed(*flags: tuple[bool, int, int], port: int | None = None) -> list[str]:
    """Sum up packets of one client and one server: whether to the server, TCP flags, sequence number."""
    summary = packets.Summary(port)
    for forth, bits, sequence in flags:
        ends = ("10.0.0.1", 70, "10.0.0.2", 9092) if forth else ("10.0.0.2", 9092, "10.0.0.1", 70)
        summary.add(Packet("tcp", *ends, bits, sequence), 100)
    return summary.lines(5)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([(True, SYN, 1), (False, SYN | ACK, 5), (True, ACK, 2)], "3 packets, 300 bytes, 1 opened, 1 accepted"),
        ([(True, SYN, 1), (False, RST | ACK, 0)], "2 packets, 200 bytes, 1 opened, 1 refused"),
        (
            [(True, SYN, 1), (True, SYN, 1), (True, SYN, 1)],
            "3 packets, 300 bytes, 1 opened, 2 repeated without an answer",
        ),
        (
            [(True, SYN, 1), (False, SYN | ACK, 5), (False, RST, 6)],
            "3 packets, 300 bytes, 1 opened, 1 accepted, 1 reset later",
        ),
        (
            [(True, SYN, 1), (False, SYN | ACK, 5), (True, RST, 6)],
            "3 packets, 300 bytes, 1 opened, 1 accepted, 1 reset later",
        ),
    ],
)
def test_a_conversation_tells_how_its_connections_fared(flags: list[tuple[bool, int, int]], said: str) -> None:
    # The server's port is the larger one here: who asked first tells.
    assert summed(*flags) == [f"tcp   10.0.0.1 -> 10.0.0.2:9092: {said}"]


def test_a_conversation_seen_from_its_middle_has_the_asked_port_at_the_server() -> None:
    assert summed((False, ACK, 1), port=9092) == ["tcp   10.0.0.1 -> 10.0.0.2:9092: 1 packets, 100 bytes"]


def test_the_largest_conversations_come_first_and_the_rest_is_counted() -> None:
    summary = packets.Summary(None)
    for number in range(8):
        for _ in range(number + 1):
            summary.add(Packet("icmp", f"10.0.0.{number}", 0, "10.0.1.1", 0), 1)
    assert summary.lines(2) == [
        "icmp  10.0.0.7 -> 10.0.1.1: 8 packets, 8 bytes",
        "icmp  10.0.0.6 -> 10.0.1.1: 7 packets, 7 bytes",
        "and 6 more",
    ]


def test_the_kernels_time_is_taken_where_it_comes_with_the_packet() -> None:
    assert stamp([(socket.SOL_SOCKET, 35, struct.pack("qq", 3, 4))]) == 3_000_000_004
    assert stamp([]) > 1_600_000_000 * 10**9
