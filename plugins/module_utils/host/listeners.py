# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which sockets wait for others, in a network namespace and on the host (proc_pid_net(5), proc_pid_fd(5))."""

from __future__ import annotations

import contextlib
import ipaddress
import struct
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import ListenerFact

LISTEN = "0A"  # include/net/tcp_states.h


class Listener(NamedTuple):
    """A listening TCP socket, or an open UDP socket."""

    address: str
    port: int
    protocol: str = "tcp"
    inode: str = ""


def listeners(pid: int | str) -> list[Listener]:
    """List who listens for TCP in a process's network namespace (``self`` for the host's).

    :raises OSError: where the process can't be looked at
    """
    found: list[Listener] = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # IPv6 is off, or the process is gone
            found += parse("tcp", Path(f"/proc/{pid}/net/{table}").read_text())
    return found


def host_listeners() -> list[ListenerFact]:
    """List who listens on the host, each with the name and id of the process that holds the socket."""
    found = [
        one
        for protocol in ("tcp", "udp")
        for table in (protocol, f"{protocol}6")
        for one in parse(protocol, read(f"/proc/net/{table}"))
    ]
    holders = _holders({one.inode for one in found})
    return [
        {"protocol": one.protocol, "address": one.address, "port": one.port, "process": holders.get(one.inode, "")}
        for one in found
    ]


def parse(protocol: str, table: str) -> list[Listener]:
    """Read who listens from the text of /proc/net/tcp, tcp6, udp or udp6.

    A busy host has thousands of connections there: only the lines of listeners are read to their end.
    """
    found: list[Listener] = []
    for line in table.splitlines()[1:]:
        __, local, peer, state, rest = line.split(maxsplit=4)
        # A UDP socket without a peer waits for others; one with a peer is a client's.
        if state == LISTEN if protocol == "tcp" else peer.endswith(":0000"):
            address, port = local.split(":")
            found.append(Listener(parse_address(address), int(port, 16), protocol, rest.split()[5]))
    return found


def parse_address(text: str) -> str:
    """Read an address: words of 32 bits, each in the host's byte order; ::ffff:a.b.c.d is the IPv4 address a.b.c.d."""
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    address = ipaddress.ip_address(struct.pack(f"={len(words)}I", *words))
    return str((address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address)


def _holders(inodes: set[str]) -> dict[str, str]:
    """Return the name and id of the process that holds each socket, by inode."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    holders: dict[str, str] = {}
    for process in Path("/proc").iterdir():
        for link in _open_files(process) if process.name.isdigit() else ():
            if link in wanted:
                holders.setdefault(wanted[link], f"{read(process / 'comm').strip()} (pid {process.name})")
    return holders


def _open_files(process: Path) -> Iterator[str]:
    # Processes end, and close files, while they are looked at.
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())
