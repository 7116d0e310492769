# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container's network namespace: look and connect from inside it, without a process in the container."""

from __future__ import annotations

import ctypes
import os
import secrets
import socket
import struct
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

CLONE_NEWNET = 0x40000000  # linux/sched.h
EMBEDDED_DNS = "127.0.0.11"  # the engine's resolver, in every container on a user-defined network
DNS_SECONDS = 2.0  # an attempt; the engine answers from memory, so only a lost packet or a dead engine takes longer
DNS_ATTEMPTS = 2
RESPONSE_CODES = {1: "format error", 2: "server failure", 3: "no such name", 5: "refused"}  # RFC 1035, section 4.1.1

Result = TypeVar("Result")


def inside(pid: int | str, work: Callable[[], Result]) -> Result:
    """Run ``work`` in the network namespace of a process, and return what it returns.

    A new thread does the work where that is another one: a socket belongs to the namespace of the thread that makes it
    (network_namespaces(7)).

    :param pid: also ``self``, this process, and ``thread-self``, this thread

    :raises OSError: where the process ended, or the namespace can't be entered
    """
    if Path(f"/proc/{pid}/ns/net").readlink() == Path("/proc/thread-self/ns/net").readlink():
        return work()
    results: list[Result] = []
    errors: list[Exception] = []

    def enter_and_work() -> None:
        try:
            enter(pid)
            results.append(work())
        except Exception as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=enter_and_work, daemon=True)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def enter(pid: int | str) -> None:
    """Move the calling thread into a process's network namespace (setns(2); os.setns came with Python 3.12)."""
    with Path(f"/proc/{pid}/ns/net").open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, f"setns: {os.strerror(number)}")


def hosts_file(pid: int, name: str) -> str:
    """Return the address that the /etc/hosts of a container gives for a name; empty where it gives none."""
    for line in Path(f"/proc/{pid}/root/etc/hosts").read_text().splitlines():
        address, *names = line.split("#")[0].split() or [""]
        if name in names:
            return address
    return ""


def resolve(pid: int, name: str) -> list[str]:
    """Resolve a name as a program in the container would: by /etc/hosts, then by the engine's DNS.

    :raises OSError: where the name does not resolve; the message is the answer
    """
    pinned = hosts_file(pid, name)
    return [pinned] if pinned else inside(pid, lambda: ask(name))


def ask(name: str) -> list[str]:
    """Ask the engine's DNS for a name's IPv4 addresses, from the namespace of the calling thread.

    :raises OSError: where the name does not resolve; the message is the answer
    """
    answer = ask_all([name])[name]
    if isinstance(answer, OSError):
        raise answer
    return answer


def ask_all(
    names: Iterable[str], attempts: int = DNS_ATTEMPTS, seconds: float = DNS_SECONDS
) -> dict[str, list[str] | OSError]:
    """Ask the engine's DNS for several names at the same time; a name that does not resolve has the reason as answer.

    :param seconds: for one attempt
    """
    waiting = dict(enumerate(dict.fromkeys(names), secrets.randbelow(1 << 15)))
    found: dict[str, list[str] | OSError] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((EMBEDDED_DNS, 53))
        for __ in range(attempts):
            begun = time.monotonic()
            for number, name in waiting.items():
                sock.send(dns_query(name, number))
            while waiting and (left := begun + seconds - time.monotonic()) > 0:
                sock.settimeout(left)
                try:
                    message = sock.recv(512)
                except TimeoutError:
                    break
                number = int.from_bytes(message[:2], "big")
                name = waiting.pop(number, None)  # None: a second answer to a question that was asked twice
                if name is not None:
                    try:
                        found[name] = dns_answer(message, number)
                    except OSError as error:
                        found[name] = error
    return found | {name: TimeoutError("timed out") for name in waiting.values()}


def dns_query(name: str, number: int) -> bytes:
    """Return a question for A records (RFC 1035, section 4)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + struct.pack(">2H", 1, 1)


def dns_answer(message: bytes, number: int) -> list[str]:
    """Read the addresses of an answer.

    :raises OSError: for an error code, an answer to another question, or one without addresses
    """
    try:
        answered, flags, questions, answers = struct.unpack_from(">4H", message)
        if answered != number:
            raise OSError("the answer is not to the question that was asked")
        if flags & 0xF:
            raise OSError(RESPONSE_CODES.get(flags & 0xF, f"response code {flags & 0xF}"))
        offset = 12
        for __ in range(questions):
            offset = after_name(message, offset) + 4
        addresses: list[str] = []
        for __ in range(answers):
            offset = after_name(message, offset)
            kind, __, __, length = struct.unpack_from(">2HIH", message, offset)
            if kind == 1:
                addresses.append(".".join(map(str, struct.unpack_from("4B", message, offset + 10))))
            offset += 10 + length
    except (struct.error, IndexError) as error:
        raise OSError("the answer is cut short") from error
    if not addresses:
        raise OSError("no address in the answer")
    return addresses


def after_name(message: bytes, offset: int) -> int:
    """Return the offset after a name, which ends with a zero or with a pointer (RFC 1035, section 4.1.4)."""
    while message[offset]:
        if message[offset] >= 0xC0:
            return offset + 2
        offset += message[offset] + 1
    return offset + 1
