"""TCP connections that are tried side by side, from the network namespace of the calling thread."""

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


BRIEF_SECONDS = 0.15  # then a busy server has taken in what came at once


PATIENT_SECONDS = 4.0  # the same where a busy server may be the reason: time for two more tries of TCP's own


TIMED_OUT = "timed out"


Target = tuple[str, int]  # address and port


class Attempt(NamedTuple):
    """One TCP connection that was tried."""

    error: str  # empty where it came about
    seconds: float


def connect_all(targets: Iterable[Target], seconds: float = CONNECT_SECONDS, device: str = "") -> dict[Target, Attempt]:
    """Connect to every target at once, from the namespace of the calling thread, and hang up.

    :param seconds: until a target that says nothing counts as timed out
    :param device: the only interface to take, where it is named
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
            for key, _ in selector.select(left):
                selector.unregister(key.fileobj)
                ended(key.data, sockets[key.data].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    return {target: found.get(target, Attempt(TIMED_OUT, seconds)) for target in sockets}


def connect_patiently(targets: Iterable[Target], needed: set[Target]) -> dict[Target, Attempt]:
    """Connect to every target at once; what says nothing is tried again, and what is needed with more time.

    A server whose queue of new connections is full is silent like a firewall, and a whole matrix at once fills a short
    one for some milliseconds (Kafka's metrics agent lets three wait); TCP itself tries again only after one second.
    """
    found: dict[Target, Attempt] = {}
    wanted = set(targets)
    for seconds in (BRIEF_SECONDS, CONNECT_SECONDS - BRIEF_SECONDS, PATIENT_SECONDS):
        if seconds == PATIENT_SECONDS:
            wanted &= needed
        found |= connect_all(wanted, seconds)
        wanted = {target for target in wanted if found[target].error == TIMED_OUT}
    return found
