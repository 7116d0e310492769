# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether hosts reach each other's ports before anything listens there: all of them listen and ask at the same time."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
import time
from typing import TYPE_CHECKING, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

GREETING = b"sse-platform"
ANSWER = b"heard-platform"  # to a greeting where every socket of a host gets what any of them does
PAUSE_SECONDS = 0.2  # between two tries, since the other host may begin later
TRY_SECONDS = 1.0


class Port(NamedTuple):
    """A port that hosts of a cluster need of each other."""

    protocol: Literal["tcp", "udp", "esp"]
    number: int  # of esp, which has no ports, the number of the protocol
    what: str


# Of a Swarm (docs.docker.com, Getting started with swarm mode).
SWARM_PORTS = (
    Port("tcp", 2377, "what the managers decide"),
    Port("tcp", 7946, "who is there"),
    Port("udp", 7946, "who is there"),
    Port("udp", 4789, "the packets of the overlay"),
)


# What an overlay that is encrypted needs besides: the packets to 4789/udp go inside of these (RFC 4303).
ENCRYPTED = Port("esp", 50, "the encrypted packets of the overlay")
ESP_HEADER = b"sse!\0\0\0\1"  # SPI, which no security association has, and sequence number


class Unmet(TypedDict):
    """A port of another host that did not answer."""

    peer: str
    protocol: str
    port: int
    why: str


class Met(NamedTuple):
    """What a host found out in a meeting."""

    unmet: list[Unmet]
    held: list[str]  # own ports that another program holds, such as an engine that is in a Swarm already


class Meeting:
    """One host's part of a meeting."""

    def __init__(
        self,
        own: str,
        peers: Mapping[str, str],
        ports: Sequence[Port],
        seconds: float,
        taken: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        """Prepare it.

        :param own: the address of this host that the others reach it by
        :param peers: such an address of each other host, by name
        :param seconds: after so many it ends, whoever is missing
        :param taken: ports of peers that are not asked, because a program has them that says nothing to strangers
        """
        self.taken = taken or {}
        self.own, self.peers, self.ports = own, peers, ports
        self.until = time.monotonic() + seconds
        self.over = threading.Event()
        self.served: dict[Port, set[str]] = {}  # of the ports that this host listens on, the addresses that came
        self.held: list[str] = []
        self.unmet: list[Unmet] = []

    def run(self) -> Met:
        """Listen, ask every peer, and stay until every peer has asked.

        :raises OSError: the own address is not one of this host
        """
        with contextlib.ExitStack() as opened:
            listeners = [(port, listener) for port in self.ports if (listener := self.listen(port, opened))]
            self.served = {port: set() for port, __ in listeners}
            threads = [threading.Thread(target=self.serve, args=one) for one in listeners]
            asking = [
                threading.Thread(target=self.ask, args=(name, address, port))
                for name, address in self.peers.items()
                for port in self.ports
                if f"{port.number}/{port.protocol}" not in self.taken.get(name, ())
            ]
            for thread in (*threads, *asking):
                thread.start()
            for thread in asking:
                thread.join()
            everybody = set(self.peers.values())
            while time.monotonic() < self.until and any(one < everybody for one in self.served.values()):
                time.sleep(0.05)
            self.over.set()
            for thread in threads:
                thread.join()
        return Met(sorted(self.unmet, key=lambda one: (one["peer"], one["port"], one["protocol"])), self.held)

    def listen(self, port: Port, opened: contextlib.ExitStack) -> socket.socket | None:
        """Listen on an own port; None where another program does."""
        if port.protocol == "esp":
            return opened.enter_context(self.raw())
        kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
        listener = opened.enter_context(socket.socket(socket.AF_INET, kind))
        if port.protocol == "tcp":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.settimeout(0.1)
        try:
            listener.bind((self.own, port.number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            self.held.append(f"{port.number}/{port.protocol}")
            return None
        if port.protocol == "tcp":
            listener.listen(64)
        return listener

    def serve(self, port: Port, listener: socket.socket) -> None:
        """Greet everybody who comes."""
        while not self.over.is_set():
            with contextlib.suppress(OSError):  # nobody came, or went away
                if port.protocol == "tcp":
                    connection, (address, __) = listener.accept()
                    with connection:
                        connection.sendall(GREETING)
                elif port.protocol == "esp":
                    said, (address, __) = listener.recvfrom(256)
                    if not said.endswith(ESP_HEADER + GREETING):
                        continue
                    listener.sendto(ESP_HEADER + ANSWER, (address, 0))
                else:
                    said, (address, number) = listener.recvfrom(64)
                    if said != GREETING:
                        continue
                    listener.sendto(GREETING, (address, number))
                self.served[port].add(address)

    def ask(self, name: str, address: str, port: Port) -> None:
        """Ask a port of a peer until it answers or the meeting ends."""
        questions: dict[str, Callable[[str, int], None]] = {
            "tcp": self.ask_tcp,
            "udp": self.ask_udp,
            "esp": self.ask_esp,
        }
        question = questions[port.protocol]
        why = ""
        while True:
            try:
                question(address, port.number)
            except OSError as error:
                why = "no answer" if isinstance(error, TimeoutError) else (error.strerror or str(error)).lower()
            else:
                return
            if time.monotonic() > self.until:
                break
            time.sleep(PAUSE_SECONDS)
        self.unmet.append({"peer": name, "protocol": port.protocol, "port": port.number, "why": why})

    def ask_tcp(self, address: str, port: int) -> None:
        """Connect. Where an engine that is in a Swarm has the port, it waits for more than a connection."""
        with socket.create_connection((address, port), TRY_SECONDS, (self.own, 0)) as connection:
            connection.settimeout(TRY_SECONDS)
            with contextlib.suppress(TimeoutError):
                connection.recv(len(GREETING))

    def ask_udp(self, address: str, port: int) -> None:
        """Send a datagram, and wait for the same one."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            connection.settimeout(TRY_SECONDS)
            connection.bind((self.own, 0))
            connection.connect((address, port))
            connection.send(GREETING)
            connection.recv(64)

    def raw(self) -> socket.socket:
        """Return a socket for packets of ESP, which the kernel shows to root before it judges them."""
        way = socket.socket(socket.AF_INET, socket.SOCK_RAW, ENCRYPTED.number)
        way.settimeout(0.1)
        way.bind((self.own, 0))
        return way

    def ask_esp(self, address: str, protocol: int) -> None:
        """Send a packet that looks like one of ESP, and wait for the answer to it."""
        with self.raw() as way:
            way.sendto(ESP_HEADER + GREETING, (address, 0))
            until = time.monotonic() + TRY_SECONDS
            while time.monotonic() < until:
                with contextlib.suppress(TimeoutError):
                    said, (sender, __) = way.recvfrom(256)
                    if sender == address and said.endswith(ESP_HEADER + ANSWER):
                        return
            raise TimeoutError
