"""What tests of several rooms share."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """A stand-in engine: its socket, and its answers by path. It has no ``none``, and fails where it has no answer.

    What is posted to a path that ends with ``/create``, or changes a Swarm, is then its answer for that path.
    """
    answers: dict[str, Any] = {}
    gone = {"/containers/none/json", "/images/none/json", "/networks/none"}

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            answer = answers.get(self.path)
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self.send_response(200 if self.path in answers else 404 if self.path in gone else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            answers[self.path] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            taken = self.path.endswith(("/create", "/init", "/join")) or "/update?" in self.path
            body = b'{"ID": "made"}'
            self.send_response(201 if taken else 500)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_DELETE(self) -> None:
            answers.pop(self.path, None)
            self.send_response(204)
            self.end_headers()

        def address_string(self) -> str:
            return "engine"

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    path = str(tmp_path / "docker.sock")
    with socketserver.ThreadingUnixStreamServer(path, Handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield path, answers
        server.shutdown()
