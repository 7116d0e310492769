# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""TCP connections, many at the same time, from the network namespace of the calling thread."""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import time
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.model import ip_family

if TYPE_CHECKING:
    from collections.abc import Iterable

CONNECT_SECONDS = 1.0  # within one host a connection takes microseconds; only a dropped packet takes this long
BRIEF_SECONDS = 0.15  # after that a busy server has accepted the connections that came at the same time
PATIENT_SECONDS = 4.0  # for a busy server: time for two more attempts of TCP's own
TIMED_OUT = "timed out"

Target = tuple[str, int]  # address and port


class Attempt(NamedTuple):
    """One attempt to make a TCP connection."""

    error: str  # empty where it succeeded
    seconds: float


def connect_all(targets: Iterable[Target], seconds: float = CONNECT_SECONDS, device: str = "") -> dict[Target, Attempt]:
    """Connect to all targets at the same time, and close the connections.

    :param seconds: after which a target that does not answer counts as timed out
    :param device: the only interface to use; empty leaves the choice to the kernel
    """
    found: dict[Target, Attempt] = {}
    sockets: dict[Target, socket.socket] = {}
    begun = time.monotonic()

    def ended(target: Target, code: int) -> None:
        found[target] = Attempt(os.strerror(code) if code else "", time.monotonic() - begun)

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
