# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Captured packets: the pcap file that holds them, and who talked to whom.

Nothing here reads or writes anything. In the file each packet has Linux' "cooked" header, because a namespace may have
interfaces of several kinds (pcap-linktype(7), LINKTYPE_LINUX_SLL).
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass
from typing import NamedTuple

MAGIC_NANOSECONDS = 0xA1B23C4D  # pcap-savefile(5)
LINKTYPE_LINUX_SLL = 113
ETH_IPV4, ETH_IPV6 = 0x0800, 0x86DD
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10  # RFC 9293, section 3.1
IPV6_EXTENSIONS = frozenset({0, 43, 60})  # hop-by-hop, routing, destination options (RFC 8200): length in 8 bytes


class Packet(NamedTuple):
    """What is read from one packet."""

    protocol: str
    source: str
    source_port: int
    target: str
    target_port: int
    flags: int = 0  # of TCP
    sequence: int = 0


def file_header(snap: int) -> bytes:
    """Return the beginning of a pcap file (pcap-savefile(5)) whose packets are cut after ``snap`` bytes."""
    return struct.pack("<IHHiIII", MAGIC_NANOSECONDS, 2, 4, 0, 0, snap, LINKTYPE_LINUX_SLL)


def record(nanoseconds: int, direction: int, hardware: int, address: bytes, kind: int, body: bytes, snap: int) -> bytes:
    """Return one packet of a pcap file.

    :param nanoseconds: when it was captured, since the epoch
    :param direction: the packet type of packet(7), such as 0 for incoming and 4 for outgoing
    :param hardware: the kind of the interface (linux/if_arp.h)
    :param address: the sender's hardware address
    :param kind: the EtherType of ``body``, which begins at the network layer
    :param snap: the most bytes that are kept
    """
    cooked = struct.pack(">HHH8sH", direction, hardware, len(address), address[:8], kind)
    data = cooked + body[: max(0, snap - len(cooked))]
    seconds, rest = divmod(nanoseconds, 10**9)
    return struct.pack("<IIII", seconds, rest, len(data), len(cooked) + len(body)) + data


def read(kind: int, body: bytes) -> Packet | None:
    """Read addresses, ports and TCP flags; None for a packet that is neither IPv4 nor IPv6, or is cut short."""
    try:
        if kind == ETH_IPV4:
            number, start = body[9], (body[0] & 0x0F) * 4
            source, target = (str(ipaddress.IPv4Address(body[at : at + 4])) for at in (12, 16))
            if struct.unpack_from(">H", body, 6)[0] & 0x1FFF:
                return Packet(PROTOCOLS.get(number, str(number)), source, 0, target, 0)  # a later fragment has no ports
        elif kind == ETH_IPV6:
            number, start = body[6], 40
            source, target = (str(ipaddress.IPv6Address(body[at : at + 16])) for at in (8, 24))
            while number in IPV6_EXTENSIONS:
                number, start = body[start], start + (body[start + 1] + 1) * 8
        else:
            return None
        protocol = PROTOCOLS.get(number, str(number))
        if protocol not in {"tcp", "udp"}:
            return Packet(protocol, source, 0, target, 0)
        source_port, target_port = struct.unpack_from(">HH", body, start)
        if protocol == "udp":
            return Packet(protocol, source, source_port, target, target_port)
        (sequence,) = struct.unpack_from(">I", body, start + 4)
        return Packet(protocol, source, source_port, target, target_port, body[start + 13], sequence)
    except (IndexError, struct.error, ipaddress.AddressValueError):
        return None


@dataclass
class Talk:
    """The packets between a client and a port of a server, counted."""

    packets: int = 0
    size: int = 0
    opened: int = 0  # connections that the client asked for
    accepted: int = 0
    refused: int = 0
    reset: int = 0
    repeated: int = 0  # the client asked again for the same connection, because nobody answered

    @property
    def shown(self) -> str:
        """The counts in one line for people."""
        text = f"{self.packets} packets, {self.size} bytes"
        counts = {
            "opened": self.opened,
            "accepted": self.accepted,
            "refused": self.refused,
            "reset later": self.reset,
            "repeated without an answer": self.repeated,
        }
        return text + "".join(f", {count} {what}" for what, count in counts.items() if count)


class Summary:
    """Who talked to whom."""

    def __init__(self, port: int | None) -> None:
        """Start with nothing counted.

        :param port: the port of a server, where it is known
        """
        self.port = port
        self.talks: dict[tuple[str, str, str], Talk] = {}
        self.servers: set[tuple[str, int]] = set()
        self.asked: set[tuple[str, int, str, int, int]] = set()
        self.refusable: set[tuple[str, int, str, int]] = set()

    def add(self, packet: Packet, size: int) -> None:
        """Count one packet."""
        client, server, forth = self._ends(packet)
        key = (packet.protocol, client, server)
        talk = self.talks.setdefault(key, Talk())
        talk.packets += 1
        talk.size += size
        if packet.protocol != "tcp":
            return
        pair = (packet.source, packet.source_port, packet.target, packet.target_port)
        back = (packet.target, packet.target_port, packet.source, packet.source_port)
        if packet.flags & SYN and not packet.flags & ACK:
            if (*pair, packet.sequence) in self.asked:
                talk.repeated += 1
            else:
                talk.opened += 1
            self.asked.add((*pair, packet.sequence))
            self.refusable.add(pair)
        elif packet.flags & SYN:
            talk.accepted += back in self.refusable
            self.refusable.discard(back)
        elif packet.flags & RST:
            if not forth and back in self.refusable:
                talk.refused += 1
                self.refusable.discard(back)
            else:
                talk.reset += 1

    def _ends(self, packet: Packet) -> tuple[str, str, bool]:
        """Return the client, the server with its port, and whether the packet goes to the server."""
        forth, back = (packet.target, packet.target_port), (packet.source, packet.source_port)
        if packet.flags & SYN:
            self.servers.add(back if packet.flags & ACK else forth)
        is_forth = forth in self.servers or (back not in self.servers and packet.target_port <= packet.source_port)
        if self.port and (packet.target_port == self.port) != (packet.source_port == self.port):
            is_forth = packet.target_port == self.port
        client, server = (packet.source, forth) if is_forth else (packet.target, back)
        return client, f"{server[0]}:{server[1]}" if server[1] else server[0], is_forth

    def lines(self, most: int) -> list[str]:
        """Return one line for each of the conversations with the most packets."""
        ranked = sorted(self.talks.items(), key=lambda one: -one[1].packets)
        told = [
            f"{protocol:5} {client} -> {server}: {talk.shown}" for (protocol, client, server), talk in ranked[:most]
        ]
        return told + ([f"and {len(ranked) - most} more"] if len(ranked) > most else [])


def concerns(packet: Packet | None, port: int | None) -> bool:
    """Tell whether a packet comes from a port or goes to it; without a port, every packet does."""
    return port is None or (packet is not None and port in {packet.source_port, packet.target_port})
