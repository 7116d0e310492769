"""The check that a container gives a certificate which counts, and the one that passes on what a service says."""

from __future__ import annotations

import http.server
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import certificate, told
from ansible_collections.sse.platform.tests import certificates


@pytest.fixture
def port(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[int]:
    """A server with a certificate of so many days."""
    pair = tmp_path / "one.pem", tmp_path / "one.key"
    certificates.make(*pair, days=request.param)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*pair)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            try:
                with server.accept()[0] as client, context.wrap_socket(client, server_side=True) as spoken:
                    spoken.recv(1)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]


def checked(port: int, *, lasting: bool = True) -> tuple[Any, Any]:
    running: Any = SimpleNamespace(certificates=[])
    subject: Any = SimpleNamespace(name="it-nginx", address="127.0.0.1")
    return certificate.check(running, subject, {"port": port, "lasting": lasting}), running.certificates


@pytest.mark.parametrize("port", [90], indirect=True)
def test_a_certificate_that_counts_passes_and_its_end_is_kept(port: int) -> None:
    found, kept = checked(port)
    assert (found.findings, found.verified, found.notes) == ((), 1, ())
    assert kept[0].ends - time.time() == pytest.approx(90 * 86400, abs=300)


@pytest.mark.parametrize("port", [90], indirect=True)
def test_the_end_of_one_that_is_renewed_by_itself_is_not_kept(port: int) -> None:
    assert checked(port, lasting=False)[1] == []


def test_a_port_without_a_certificate_is_a_finding() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        free = server.getsockname()[1]
    (finding,) = checked(free)[0].findings
    assert "gives no certificate" in finding.wrong


@pytest.mark.parametrize(
    ("body", "said"), [(b'["it is late"]', ["it is late"]), (b"[]", []), (b"{}", []), (b"garbage", [])]
)
def test_what_a_service_says_is_passed_on(body: bytes, said: list[str]) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert told.ask(Endpoint("one", "127.0.0.1", server.server_address[1]), "/problems") == said
