"""Who listens for TCP in a network namespace, read from proc_pid_net(5)."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    pass


LISTEN = "0A"  # include/net/tcp_states.h


class Listener(NamedTuple):
    """Where a TCP socket of a namespace listens."""

    address: str
    port: int


def listeners(pid: int | str) -> list[Listener]:
    """List who listens for TCP in a process's network namespace (``self`` for the host's)."""
    found: list[Listener] = []
    for table in ("tcp", "tcp6"):
        try:
            found += parse_listeners(Path(f"/proc/{pid}/net/{table}").read_text())
        except FileNotFoundError:  # IPv6 is off, or the process is gone
            continue
    return found


def parse_listeners(table: str) -> list[Listener]:
    """Read /proc/net/tcp or tcp6 (proc_pid_net(5)), of thousands of connections on a busy host only the listeners."""
    found: list[Listener] = []
    for line in table.splitlines()[1:]:
        _, local, _, state = line.split(maxsplit=4)[:4]
        if state == LISTEN:
            address, port = local.split(":")
            found.append(Listener(parse_address(address), int(port, 16)))
    return found


def parse_address(text: str) -> str:
    """Read an address of /proc/net/tcp*: words of 32 bits, each in the host's byte order."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    if len(packed) == 4:
        return str(ipaddress.IPv4Address(packed))
    address = ipaddress.IPv6Address(packed)
    return str(address.ipv4_mapped or address)
