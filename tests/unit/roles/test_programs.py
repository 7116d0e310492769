"""The program of Grafana's role makes a new password count: the server keeps the one that it was first started with."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from rendered import ROOT

PROGRAM = (ROOT / "roles/grafana/files/admin.py").read_text()
FILE = "/run/admin/password"


class Server(ThreadingHTTPServer):
    """A server that knows one password, and can be deaf for a change of it."""

    password = "old"
    takes = True


class Handler(BaseHTTPRequestHandler):
    """Answers as Grafana's HTTP API does."""

    def do_GET(self) -> None:
        given = base64.b64decode(self.headers["Authorization"].removeprefix("Basic ")).decode()
        self.send_response(200 if given == f"admin:{known(self).password}" else 401)
        self.end_headers()

    def do_PUT(self) -> None:
        asked: Any = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if asked["oldPassword"] == known(self).password and known(self).takes:
            known(self).password = asked["newPassword"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
        """Write nothing."""


def known(handler: Handler) -> Server:
    assert isinstance(handler.server, Server)
    return handler.server


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()


def run(server: Server, now: str, before: str | None) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.replace("http://127.0.0.1:3000", f"http://127.0.0.1:{server.server_address[1]}")
    given = {"now": {FILE: now}, "before": {FILE: before} if before else {}}
    return subprocess.run(
        [sys.executable, "-I", "-c", program], input=json.dumps(given), capture_output=True, text=True, check=False
    )


def test_a_changed_password_counts_and_the_old_one_does_not(server: Server) -> None:
    ended = run(server, "new", "old")
    assert (ended.returncode, server.password) == (0, "new"), ended.stderr
    assert ended.stdout == "admin: the new password works, and the old one does not\n"


def test_a_new_database_has_the_password_already(server: Server) -> None:
    assert run(server, "old", None).returncode == run(server, "old", "old").returncode == 0


def test_a_server_that_does_not_take_the_password_is_told(server: Server) -> None:
    server.takes = False
    ended = run(server, "new", "old")
    assert ended.returncode == 1
    assert "does not get in by the new password" in ended.stderr


def test_a_password_that_somebody_set_by_hand_is_not_guessed(server: Server) -> None:
    server.password = "by hand"
    ended = run(server, "new", "old")
    assert ended.returncode == 1
    assert "gets in by neither password" in ended.stderr
    assert run(server, "old", "old").returncode == 0  # nothing was to be changed
