# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which sockets wait for others, in a network namespace and on the host (proc_pid_net(5), proc_pid_fd(5))."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import struct
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import namespace, socket_diag
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import ListenerFact

SYSTEMD = "systemd (pid 1)"
# What `who` says of a socket that systemd holds: the unit, and the service that it starts.
HELD_BY_UNIT = re.compile(r"(\S+\.socket)(?: of systemd)?, which starts (\S+) ")
LISTEN = "0A"  # include/net/tcp_states.h


class Listener(NamedTuple):
    """A listening TCP socket, or an open UDP socket."""

    address: str
    port: int
    protocol: str = "tcp"
    inode: str = ""


class SocketUnit(NamedTuple):
    """A unit of systemd that holds a socket, and starts a service at the first connection (systemd.socket(5))."""

    unit: str
    service: str

    @property
    def shown(self) -> str:
        """The unit, written as a process is."""
        return f"{self.unit} of systemd, which starts {self.service} (pid 1)"


def units_by_port(listed: str) -> dict[int, SocketUnit]:
    """Read what ``systemctl list-sockets`` prints: where it listens, the unit, and what that starts."""
    found: dict[int, SocketUnit] = {}
    for line in listed.splitlines():
        words = line.split()
        port = words[0].rpartition(":")[2] if len(words) >= 3 else ""
        if port.isdigit() and words[1].endswith(".socket"):
            found[int(port)] = SocketUnit(words[1], words[2].rstrip(","))
    return found


def listed_sockets() -> str:
    """Ask systemd for its sockets; empty where it does not answer."""
    command = ["systemctl", "list-sockets", "--no-legend", "--no-pager", "--full"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=5).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def way_to_stop(process: str) -> str:
    """Return the command that frees the port of a process, as `host_listeners` tells it; empty where none is known.

    A socket of systemd outlives the service, and process 1 is never killed.
    """
    if match := HELD_BY_UNIT.search(process):
        return f"systemctl disable --now {match[1]} {match[2]}"
    pid = process.rpartition("(pid ")[2].rstrip(")") if "(pid " in process else ""
    return f"kill {pid}" if pid.isdigit() and pid != "1" else ""


def listeners(pid: int | str) -> list[Listener]:
    """List who listens for TCP in a process's network namespace (``self`` for the host's).

    :raises OSError: where the process can't be looked at
    """
    with contextlib.suppress(OSError):  # an old kernel, one without this interface, or a process that ended
        asked = namespace.inside(pid, lambda: list(socket_diag.listening()))
        return [Listener(address, port, "tcp", str(inode)) for address, port, inode in asked]
    found: list[Listener] = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # IPv6 is off, or the process is gone
            found += parse("tcp", Path(f"/proc/{pid}/net/{table}").read_text())
    return found


def host_listeners() -> list[ListenerFact]:
    """List who listens on the host, each with the name and id of the process that holds the socket."""
    found = listeners("self") + [one for table in ("udp", "udp6") for one in parse("udp", read(f"/proc/net/{table}"))]
    holders = _holders({one.inode for one in found})
    units = units_by_port(listed_sockets()) if any(SYSTEMD in held for held in holders.values()) else {}
    shown = {one.inode: who(holders.get(one.inode, []), units.get(one.port)) for one in found}
    return [
        {"protocol": one.protocol, "address": one.address, "port": one.port, "process": shown[one.inode]}
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


def who(holders: list[str], unit: SocketUnit | None) -> str:
    """Say who holds a socket. Of a socket that systemd holds, tell the unit, also while its service runs."""
    services = [one for one in holders if one != SYSTEMD]
    if SYSTEMD not in holders or unit is None:
        return (services or holders or [""])[0]
    if not services:
        return unit.shown
    name, __, pid = services[0].partition(" (pid ")
    return f"{name} of {unit.unit}, which starts {unit.service} (pid {pid}"


def _holders(inodes: set[str]) -> dict[str, list[str]]:
    """Return the names and ids of the processes that hold each socket, by inode."""
    wanted = {f"socket:[{inode}]": inode for inode in inodes}
    holders: dict[str, list[str]] = {}
    for process in Path("/proc").iterdir():
        for link in _open_files(process) if process.name.isdigit() else ():
            if link in wanted:
                holders.setdefault(wanted[link], []).append(f"{read(process / 'comm').strip()} (pid {process.name})")
    return holders


def _open_files(process: Path) -> Iterator[str]:
    # Processes end, and close files, while they are looked at.
    with contextlib.suppress(OSError):
        for entry in (process / "fd").iterdir():
            with contextlib.suppress(OSError):
                yield str(entry.readlink())
