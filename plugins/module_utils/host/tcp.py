# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""TCP connections, many at the same time, from the network namespace of the calling thread."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import struct
import time
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host import namespace, socket_diag
from ansible_collections.sse.platform.plugins.module_utils.host.listeners import parse_address
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model import ip_family

if TYPE_CHECKING:
    from collections.abc import Iterable

CONNECT_SECONDS = 1.0  # within one host a connection takes microseconds; only a dropped packet takes this long
BRIEF_SECONDS = 0.15  # after that a busy server has accepted the connections that came at the same time
PATIENT_SECONDS = 4.0  # for a busy server: time for two more attempts of TCP's own
HOLD_SECONDS = 0.1  # docker-proxy accepts for a dead container and hangs up at once; a server holds or greets
POLL_SECONDS = 0.05
TIMED_OUT = "timed out"
CLOSED = "the connection is closed at once"
NOT_ACCEPTED = "nobody accepts the connection: the port is only reserved, or the program that holds it hangs"
ESTABLISHED = "01"  # include/net/tcp_states.h
RTT, TOTAL_RETRANS = 68, 100  # offsets in struct tcp_info of include/uapi/linux/tcp.h, which only ever grows at its end

Target = tuple[str, int]  # address and port


class Attempt(NamedTuple):
    """One attempt to make a TCP connection."""

    error: str  # empty where it succeeded
    seconds: float  # of the handshake where it succeeded, else until the answer


def connect_all(targets: Iterable[Target], seconds: float = CONNECT_SECONDS, device: str = "") -> dict[Target, Attempt]:
    """Connect to all targets at the same time, and close the connections.

    :param seconds: after which a target that does not answer counts as timed out
    :param device: the only interface to use; empty leaves the choice to the kernel
    """
    found: dict[Target, Attempt] = {}
    sockets: dict[Target, socket.socket] = {}
    begun = time.monotonic()

    def ended(target: Target, code: int) -> None:
        elapsed = time.monotonic() - begun
        took = elapsed if code else handshake(sockets[target], elapsed)
        found[target] = Attempt(os.strerror(code) if code else "", took)

    with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
        for target in dict.fromkeys(targets):
            sockets[target] = stack.enter_context(socket.socket(ip_family.of(target[0]).domain, socket.SOCK_STREAM))
            sockets[target].setblocking(False)
            if device:
                sockets[target].setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            code = sockets[target].connect_ex(target)
            if code == errno.EINPROGRESS:
                selector.register(sockets[target], selectors.EVENT_WRITE, target)
            else:
                ended(target, code)
        while selector.get_map() and (left := begun + seconds - time.monotonic()) > 0:
            for key, __ in selector.select(left):
                selector.unregister(key.fileobj)
                ended(key.data, sockets[key.data].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    return {target: found.get(target, Attempt(TIMED_OUT, seconds)) for target in sockets}


def handshake(sock: socket.socket, elapsed: float) -> float:
    """Return the seconds from SYN to its answer, as the kernel measured them.

    Our own clock counts the other connections of the same batch, and the time until this thread runs again: with the
    hundreds of a matrix that is a thousand times as long.

    :param elapsed: by our own clock; it counts where a SYN was repeated, or where the kernel does not tell
    """
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TOTAL_RETRANS + 4)
        microseconds, repeated = (struct.unpack_from("=I", info, offset)[0] for offset in (RTT, TOTAL_RETRANS))
    except (OSError, struct.error):
        return elapsed
    return min(elapsed, microseconds / 1e6) if microseconds and not repeated else elapsed


def connect_patiently(targets: Iterable[Target], needed: set[Target]) -> dict[Target, Attempt]:
    """Connect to all targets at the same time, and again to those that time out; at last for longer to the needed ones.

    A server whose queue of new connections is full is as silent as a firewall. Many connections at the same time fill a
    short queue for some milliseconds (Kafka's metrics agent has room for three); TCP tries again only after a second.

    :param needed: the targets that should answer
    """
    found: dict[Target, Attempt] = {}
    wanted = set(targets)
    for seconds in (BRIEF_SECONDS, CONNECT_SECONDS - BRIEF_SECONDS, PATIENT_SECONDS):
        if seconds == PATIENT_SECONDS:
            wanted &= needed
        found |= connect_all(wanted, seconds)
        wanted = {target for target in wanted if found[target].error == TIMED_OUT}
    return found


def hindered(target: Target, seconds: float, servers: Iterable[str] = ("self", "thread-self")) -> str:
    """Connect; return an empty string where a program accepts the connection and stays, else what happened.

    The kernel completes a connection to a port that is only reserved, as the engine reserves each port that it
    publishes. Then the connection stays in the queue of the socket, which shows where that socket is.

    :param servers: processes whose network namespaces may hold the other end
    """
    ends = time.monotonic() + seconds
    try:
        with socket.create_connection(target, timeout=seconds) as sock:
            sock.settimeout(HOLD_SECONDS)
            with contextlib.suppress(TimeoutError):
                return "" if sock.recv(1) else CLOSED
            while any(is_queued(sock, one) for one in servers):
                if time.monotonic() > ends:
                    return NOT_ACCEPTED
                time.sleep(POLL_SECONDS)
            return ""
    except OSError as error:
        return f"{type(error).__name__}: {error.strerror or error}"


def is_queued(sock: socket.socket, process: str) -> bool:
    """Tell whether the other end of a connection is in a process's namespace, and no program has accepted it yet."""
    own, peer = sock.getsockname()[:2], sock.getpeername()[:2]
    try:
        if socket_diag.is_accepted(own, peer):  # it is ours: so this kernel answers such questions
            return namespace.inside(process, lambda: socket_diag.is_accepted(peer, own)) is False
    except OSError:
        pass
    return is_queued_by_table(own, peer, process, version6=sock.family == socket.AF_INET6)


def is_queued_by_table(own: Target, peer: Target, process: str, *, version6: bool) -> bool:
    """Tell the same by the tables of the kernel: such an end belongs to no file, so its inode is 0."""
    for table in ("tcp6", "tcp") if version6 else ("tcp", "tcp6"):
        for line in read(f"/proc/{process}/net/{table}").splitlines()[1:]:
            __, local, remote, state, rest = line.split(maxsplit=4)
            if state == ESTABLISHED and place(local) == peer and place(remote) == own:
                return rest.split()[5] == "0"
    return False


def place(text: str) -> Target:
    """Read an address and a port as the kernel's tables have them."""
    address, port = text.split(":")
    return parse_address(address), int(port, 16)
