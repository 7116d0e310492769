"""How a Unix socket is told from TCP between NGINX and a replica."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from socketserver import ThreadingUnixStreamServer

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import http
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import unix_socket

STREAM = "/api/v1/stream?channel=sse-platform.verify"


class Replica(BaseHTTPRequestHandler):
    """Answers a stream that stays open."""

    protocol_version = "HTTP/1.1"

    def address_string(self) -> str:
        return "test"

    def do_GET(self) -> None:
        if self.path.endswith("closed") and self.headers["Authorization"] != "Bearer name.secret":
            self.send_response(401)
            self.send_header("X-Replica", "sse-app-1")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("X-Replica", "sse-app-1")
        self.end_headers()
        self.wfile.write(b"retry: 1\n\n")
        self.rfile.read(1)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def started(server: HTTPServer | ThreadingUnixStreamServer) -> Callable[[], None]:
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def stop() -> None:
        server.shutdown()
        server.server_close()

    return stop


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    made = str(tmp_path / "sse.sock")
    stop = started(ThreadingUnixStreamServer(made, Replica))
    yield made
    stop()


def test_only_accepted_connections_of_the_path_count() -> None:
    table = (
        "Num       RefCount Protocol Flags    Type St Inode Path\n"
        "0000000000000000: 00000002 00000000 00010000 0001 01 10 /run/sse/sse.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 11 /run/sse/sse.sock\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 12\n"
        "0000000000000000: 00000003 00000000 00000000 0001 03 13 /run/other.sock\n"
    )
    assert unix_socket.connections(table, "/run/sse/sse.sock") == {"11"}
    assert unix_socket.connections(table, "/run/none") == set()


def test_a_stream_over_the_socket_is_verified(path: str) -> None:
    nginx = Endpoint("sse-nginx", path, 0)  # as if nginx had handed the stream on
    assert unix_socket.arrives(nginx, os.getpid(), STREAM, {"sse-app-1": path}) == Checked()


def test_a_stream_that_went_over_tcp_is_told(path: str) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Replica)
    stop = started(server)
    left = Endpoint("sse-app-1", path, 0).connect(5)  # as of a publish before
    left.request("GET", STREAM)
    left.getresponse()
    try:
        (finding,), verified, _ = unix_socket.arrives(
            Endpoint("sse-nginx", "127.0.0.1", server.server_port), os.getpid(), STREAM, {"sse-app-1": path}
        )
    finally:
        left.close()
        stop()
    assert (finding.subject, finding.evidence, verified) == ("sse-app-1", "the proxy used TCP", 0)


def test_a_stream_that_needs_a_credential_gets_one_and_a_refused_one_is_no_stream(path: str) -> None:
    nginx, stream = Endpoint("sse-nginx", path, 0, key="name.secret"), "/api/v1/stream?channel=closed"
    assert unix_socket.arrives(nginx, os.getpid(), stream, {"sse-app-1": path}) == Checked()
    (finding,), _, _ = unix_socket.arrives(nginx._replace(key=""), os.getpid(), stream, {"sse-app-1": path})
    assert finding.evidence == "401 of sse-app-1"


def test_a_stream_of_no_such_replica_is_told(path: str) -> None:
    (finding,), _, _ = unix_socket.arrives(Endpoint("sse-nginx", path, 0), os.getpid(), STREAM, {"sse-app-2": path})
    assert finding.evidence == "200 of sse-app-1"


def test_a_replica_is_reached_by_its_own_file_system(path: str) -> None:
    endpoint = Endpoint("sse-app-1", f"/proc/{os.getpid()}/root{path}", 0)
    connection = endpoint.connect(5)
    connection.request("GET", "/")
    assert connection.getresponse().getheader("X-Replica") == "sse-app-1"
    connection.close()
    assert endpoint.url.startswith("unix:/proc/")
    assert http.request(Endpoint("x", "/nowhere.sock", 0), "GET", "/", timeout=5).status == 0
