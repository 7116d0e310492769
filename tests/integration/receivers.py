"""Real receivers of alerts, on this machine: a web server and a mail server, which keep what they get."""

from __future__ import annotations

import contextlib
import http.server
import json
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ansible_collections.sse.platform.tests import certificates

HOST = "host.docker.internal"  # as containers call this machine
AUTHORITY = "basicConstraints=critical,CA:TRUE"


class Got(NamedTuple):
    """One message that came."""

    at: float
    path: str  # of the request; empty for mail
    token: str
    text: str

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """The alerts of a webhook."""
        return json.loads(self.text)["alerts"] if self.path else []


class Receivers:
    """A web server over TLS and a mail server. A path in ``refused`` is answered by 500, and one in ``moved`` by 302.

    The certificate of the web server is from an authority that nobody knows; ``authority.pem`` is its own.
    """

    def __init__(self, address: str, place: Path) -> None:
        authority, chain = place / "authority.pem", place / "chain.pem"
        certificates.make(authority, place / "authority.key", subject="receivers", extensions=[AUTHORITY])
        signer = (authority, place / "authority.key")
        certificates.sign(chain, place / "key.pem", *signer, subject=HOST, names=f"DNS:{HOST}")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, place / "key.pem")
        self.got: list[Got] = []
        self.refused: set[str] = set()
        self.moved: set[str] = set()
        outer = self

        class Web(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                text = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                token = self.headers.get("Authorization", "")
                path = self.path.partition("?")[0]
                status = 500 if path in outer.refused else 302 if path in outer.moved else 200
                if status == 200:
                    outer.got.append(Got(time.time(), self.path, token, text))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "/login")
                self.end_headers()

            def do_GET(self) -> None:
                """Answer as a page does to which a request was sent on."""
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
                return

        class Mail(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                """Speak as much SMTP as a client needs (RFC 5321)."""
                self.wfile.write(b"220 receiver\r\n")
                while line := self.rfile.readline():
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                        outer.got.append(Got(time.time(), "", "", text))
                    self.wfile.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
                    if verb == b"QUIT":
                        return

        self.servers: list[Any] = [
            http.server.ThreadingHTTPServer((address, 0), Web),
            socketserver.ThreadingTCPServer((address, 0), Mail),
        ]
        self.servers[0].socket = context.wrap_socket(self.servers[0].socket, server_side=True)
        self.web, self.mail = (int(one.server_address[1]) for one in self.servers)

    def alerts(self, name: str, status: str, **labels: str) -> list[dict[str, Any]]:
        """Return what came of an alert by the webhook."""
        return [
            one
            for got in self.got
            if got.path.startswith("/hook")
            for one in got.alerts
            if one["labels"]["alertname"] == name
            and one["status"] == status
            and labels.items() <= one["labels"].items()
        ]


@contextlib.contextmanager
def receiving(place: Path) -> Iterator[Receivers]:
    """Serve until the block ends; certificates are in this directory."""
    found = Receivers("0.0.0.0", place)
    for one in found.servers:
        threading.Thread(target=one.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        for one in found.servers:
            one.shutdown()
            one.server_close()
