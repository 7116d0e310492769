"""What one hostile client does to a platform, each attack bounded in count and time: ATTACK ADDRESS PORT.

    ATTACKER_TOKEN=... .venv/bin/python bench/attacks.py history 198.18.0.1 80

hostile.py runs them from a neighbour of the host, beside honest clients. The token is one ordinary key that may publish
and subscribe to `attack.*`. The answers that the attacker got are printed as JSON: how often each status came, and
"none" where no answer came.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

SECONDS = 6.0  # how long an attack goes on
ANSWER_SECONDS = 3.0  # how long it waits for one answer
OPEN_SECONDS = 15.0  # how long it waits until its streams are open
LARGE = "x" * 60_000  # just below the default limit of an event, 60 KB
BODY = 256 * 1024 - 1024  # just below the default limit of a body
SMALL_BUFFER = 4096  # bytes: a client that reads nothing has nearly nothing read for it by its kernel either


class Attacker:
    """One address with one ordinary key."""

    def __init__(self, address: str, port: int, token: str) -> None:
        self.target = (address, port)
        self.head = f"Host: {address}\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        self.answers: Counter[str] = Counter()
        self.until = time.monotonic() + SECONDS
        self.held: list[socket.socket] = []

    def connect(self, *, reads: bool = True) -> socket.socket | None:
        """Open a connection, which a refusal by the host may forbid."""
        one = socket.socket()
        if not reads:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
        one.settimeout(ANSWER_SECONDS)
        try:
            one.connect(self.target)
        except OSError:
            self.answers["not connected"] += 1
            return None
        return one

    def get(self, path: str) -> bytes:
        """Return a request for a path of the API."""
        return f"GET /api/v1{path} HTTP/1.1\r\n{self.head}\r\n".encode()

    def post(self, body: bytes, length: int = 0, *, credential: bool = True) -> bytes:
        """Return a publish with this body, which may promise more than it has."""
        head = self.head if credential else f"Host: {self.target[0]}\r\n"
        kind = "Content-Type: application/json\r\nConnection: close\r\n"
        return (
            f"POST /api/v1/events HTTP/1.1\r\n{head}{kind}Content-Length: {length or len(body)}\r\n\r\n".encode() + body
        )

    def ask(self, request: bytes) -> None:
        """Send a request over a connection of its own, and count the status of the answer."""
        one = self.connect()
        if one is None:
            return
        with one:
            self.answers[status(one, request)] += 1

    def hold(self, request: bytes, count: int) -> None:
        """Send a request over many connections at once and read nothing."""
        for _ in range(count):
            if time.monotonic() > self.until:
                return
            if one := self.connect(reads=False):
                with contextlib.suppress(OSError):
                    one.sendall(request)
                self.held.append(one)

    def opened(self) -> None:
        """Wait until the held connections have an answer, of which nothing is read."""
        until = time.monotonic() + OPEN_SECONDS
        for one in self.held:
            one.settimeout(max(0.001, until - time.monotonic()))
            with contextlib.suppress(OSError):
                one.recv(1, socket.MSG_PEEK)

    def rest(self) -> None:
        """Wait until the attack ends, and count how the held connections stand."""
        threading.Event().wait(max(0.0, self.until - time.monotonic()))
        for one in self.held:
            one.settimeout(0.01)
            with one:
                self.answers[first_line(one)] += 1


def status(one: socket.socket, request: bytes) -> str:
    """Return the status that a request gets."""
    try:
        one.sendall(request)
    except OSError:
        return first_line(one)  # an early refusal ends what is sent, and its answer is there already
    return first_line(one)


def first_line(one: socket.socket) -> str:
    """Return the status of the answer on a connection."""
    with contextlib.suppress(OSError, IndexError):
        return one.recv(64).split()[1].decode()
    return "none"


def together(attacker: Attacker, senders: int, request: Callable[[], bytes]) -> None:
    """Have several threads send the same request, one after the other, until the attack ends."""

    def send() -> None:
        while time.monotonic() < attacker.until:
            attacker.ask(request())

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def events(channels: Iterator[str], data: str) -> bytes:
    """Return a body that publishes the same data to each channel."""
    return json.dumps([{"channel": channel, "data": data} for channel in channels]).encode()


def history(attacker: Attacker) -> None:
    """Ask 120 times for a history of large events, and read none of it."""
    for _ in range(100):
        attacker.ask(attacker.post(events(iter(["attack.history"]), LARGE)))
    attacker.until = time.monotonic() + SECONDS
    attacker.hold(attacker.get("/channels/attack.history/history?limit=100"), 120)
    attacker.rest()


def streams(attacker: Attacker) -> None:
    """Hold 1,100 streams with a filter of their own each, read none, and publish large events to them."""
    for number in range(1100):
        own = "&".join(f"channel=attack.{number}.{one}" for one in range(20))
        attacker.hold(attacker.get(f"/stream?channel=attack.large&{own}"), 1)
    attacker.opened()
    for _ in range(4):
        attacker.ask(attacker.post(events(iter(["attack.large"]), LARGE)))
    attacker.until = time.monotonic() + SECONDS
    attacker.rest()


def numbers(attacker: Attacker) -> None:
    """Publish large lists of numbers and of empty events, which are refused, by six senders."""
    bodies = [b"[" + b",".join([one] * (BODY // (len(one) + 1))) + b"]" for one in (b"0", b"{}")]
    together(attacker, 6, lambda: attacker.post(bodies[int(time.monotonic() * 10) % 2]))


def channels(attacker: Attacker) -> None:
    """Publish to 20,000 channels, and ask for their list by ten askers."""
    for start in range(0, 20_000, 100):
        attacker.ask(attacker.post(events((f"attack.{number:05}" for number in range(start, start + 100)), "1")))
    attacker.until = time.monotonic() + SECONDS
    together(attacker, 10, lambda: attacker.get("/channels").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))


def bodies(attacker: Attacker) -> None:
    """Begin 200 bodies without a credential, and never end them."""
    begun = attacker.post(b"[" + b" " * (BODY - 4096), BODY, credential=False)
    attacker.hold(begun, 200)
    attacker.rest()


def heads(attacker: Attacker) -> None:
    """Begin 1,000 heads of requests, and never end them."""
    attacker.hold(attacker.get("/stream?channel=attack.a")[:-2], 1000)
    attacker.rest()


def statistics(attacker: Attacker) -> None:
    """Take every place for streams of statistics."""
    attacker.hold(attacker.get("/stats/stream"), 150)
    attacker.rest()


def flood(attacker: Attacker) -> None:
    """Publish as fast as eight publishers can."""
    together(attacker, 8, lambda: attacker.post(events(iter(["attack.flood"]), "x" * 1000)))


ATTACKS = {one.__name__: one for one in (history, streams, numbers, channels, bodies, heads, statistics, flood)}


def main() -> None:
    """Run one attack, and print what it got."""
    name, address, port = sys.argv[1:]
    attacker = Attacker(address, int(port), os.environ.get("ATTACKER_TOKEN", ""))
    ATTACKS[name](attacker)
    sys.stdout.write(json.dumps(attacker.answers))


if __name__ == "__main__":
    main()
