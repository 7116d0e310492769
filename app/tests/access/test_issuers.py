"""The keys of issuers come from a real server, which may be slow, wrong or hostile."""

from __future__ import annotations

import asyncio
import http.server
import json
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar
from urllib.parse import urlsplit

import h11
import jwt
import jwt.algorithms
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from sse_harness import Answer, Replicas, eventually

from sse_app.access import issuers
from sse_app.access.issuers import FetchError, fetch
from sse_app.base.settings import ConfigurationError, Settings, load

LOCAL: dict[str, Any] = {"issuers_allow_http": True, "issuers_allow_private": True}


def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwks(**keys: ec.EllipticCurvePrivateKey) -> bytes:
    algorithm = jwt.algorithms.ECAlgorithm
    made = [{**algorithm.to_jwk(one.public_key(), as_dict=True), "kid": id_} for id_, one in keys.items()]
    return json.dumps({"keys": made}).encode()


class Server(http.server.ThreadingHTTPServer):
    """Serves `body`, or does what `trick` says."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.status, self.asked, self.trick = b"", 200, 0, ""
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks.json"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that leave."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server  # pyright: ignore[reportIncompatibleVariableOverride]
    headers_of: ClassVar[dict[str, dict[str, str]]] = {"redirect": {"Location": "http://127.0.0.1:1/"}}

    def do_GET(self) -> None:
        server = self.server
        server.asked += 1
        if server.trick == "nonsense":
            self.wfile.write(b"SSH-2.0-OpenSSH\r\n\r\n")
            return
        self.send_response(server.status)
        for name, value in self.headers_of.get(server.trick, {}).items():
            self.send_header(name, value)
        if server.trick in ("", "redirect", "early"):
            self.send_header("Content-Length", str(len(server.body) + 9 * (server.trick == "early")))
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(server.body)
            while server.trick == "huge":
                self.wfile.write(b" " * 65_536)
            while server.trick == "drip":
                self.wfile.write(b" ")
                time.sleep(0.05)

    def log_message(self, *_: object) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        yield started
        started.shutdown()


def token(private: Any, id_: str | None = "a", **claims: Any) -> str:
    whole = {"iss": "one", "sub": "alice", "exp": time.time() + 60, "publish": ["orders.*"], **claims}
    return jwt.encode(whole, private, "ES256", {"kid": id_} if id_ else None)


def publish(replica: Replicas, private: Any, id_: str | None = "a", **claims: Any) -> Answer:
    headers = {"Authorization": f"Bearer {token(private, id_, **claims)}"}
    return replica.post({"channel": "orders.eu", "data": 1}, 0, **headers)


async def refused(url: str, **settings: Any) -> str:
    with pytest.raises(FetchError) as found:
        await fetch(url, Settings(**{**LOCAL, **settings}))
    return str(found.value)


@pytest.mark.parametrize(
    ("trick", "status", "said"),
    [
        ("redirect", 302, "expected 200, found 302"),
        ("", 404, "expected 200, found 404"),
        ("", 500, "expected 200, found 500"),
        ("huge", 200, "at most 262144 bytes"),
        ("drip", 200, "no whole answer within"),
        ("nonsense", 200, "not HTTP"),
        ("early", 200, "the answer"),
    ],
)
async def test_a_server_that_does_not_behave_costs_bounded_time_and_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch, trick: str, status: int, said: str
) -> None:
    monkeypatch.setattr(issuers, "_SECONDS", 1.0)
    server.trick, server.status, server.body = trick, status, jwks(a=key())
    begun = time.monotonic()
    assert said in await refused(server.url)
    assert time.monotonic() - begun < 3


@pytest.mark.parametrize(
    ("framing", "said"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 10_000, "without sending"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\n \r\n" * 100_000, "at most 262144 bytes"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 2500, "ConnectionClosed"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 50_000, "at most 262144 bytes"),
    ],
)
async def test_an_answer_in_the_smallest_pieces_leaves_others_their_turn(framing: bytes, said: str) -> None:
    """All of it has arrived, so that no read waits: the loop stood still for three seconds."""
    reader, turns = asyncio.StreamReader(), 0
    reader.feed_data(framing)
    reader.feed_eof()
    writer: Any = SimpleNamespace(write=lambda _: None, drain=lambda: asyncio.sleep(0))
    exchange = asyncio.create_task(issuers._exchange(urlsplit("http://x/"), reader, writer))
    while not exchange.done():
        turns += 1
        await asyncio.sleep(0)
    with pytest.raises((FetchError, h11.RemoteProtocolError), match=said):
        await exchange
    assert turns > min(len(framing), 262_144) / 4096


async def test_http_and_private_addresses_need_a_setting_each(server: Server) -> None:
    assert "expected https" in await refused(server.url, issuers_allow_http=False)
    assert "no public address" in await refused(server.url, issuers_allow_private=False)
    named = server.url.replace("127.0.0.1", "localhost")
    assert "no public address" in await refused(named, issuers_allow_private=False)
    assert server.asked == 0
    assert "no connection" in await refused("http://127.0.0.1:1/")
    assert "no connection" in await refused("http://no-such-host.invalid/")


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True), ("2606:4700::1111", True), ("10.0.0.1", False), ("169.254.169.254", False),
        ("127.0.0.1", False), ("100.64.0.1", False), ("::1", False), ("fd00::1", False), ("fe80::1%eth0", False),
        ("::ffff:10.0.0.1", False), ("2002:a00:1::", False), ("64:ff9b::a00:1", False), ("0.0.0.0", False),
        ("224.0.0.1", False), ("ff0e::1", False), ("64:ff9b::808:808", True),
    ],
)  # fmt: skip
def test_what_a_public_address_is(address: str, public: bool) -> None:
    assert issuers._is_public(address) is public


def make_certificate(pem: Path) -> None:
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-batch"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", pem, "-out", pem]
    subprocess.run([*make, *names], check=True, capture_output=True)


async def test_https_needs_a_certificate_that_this_machine_trusts(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = tmp_path / "tls.pem"
    make_certificate(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.body = jwks(a=key())
    url = f"https://localhost:{server.server_port}/"
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(url, issuers_allow_http=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert await fetch(url, Settings(**{**LOCAL, "issuers_allow_http": False})) == server.body
    assert "CERTIFICATE_VERIFY_FAILED" in await refused(url.replace("localhost", "127.0.0.1"))


def test_tokens_of_an_issuer_count_and_a_new_key_is_found_by_its_id(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = key(), key()
    server.body = jwks(a=first)
    with Replicas(auth=True, issuers=json.dumps({"one": server.url}), **LOCAL) as replica:
        assert publish(replica, first).status == 202
        assert publish(replica, second).status == 401  # its signature is wrong
        assert publish(replica, first, iss="two").status == 401
        server.body = jwks(a=first, b=second)
        asked = server.asked
        for _ in range(20):
            assert publish(replica, key(), "made up").status == 401
        assert server.asked <= asked + 1  # whoever makes up ids cannot make this service ask and ask
        monkeypatch.setattr(issuers, "_LEAST_SECONDS", 0.0)
        assert publish(replica, second, "b").status == 202


def test_two_issuers_may_serve_the_same_keys_and_nobody_else_speaks_for_one(server: Server, tmp_path: Path) -> None:
    good, file = key(), tmp_path / "keys.json"
    file.write_bytes(jwks(f=(own := key())))
    server.body = jwks(a=good)
    both = {"issuers": json.dumps({"one": server.url, "two": server.url}), "jwks_file": str(file), **LOCAL}
    tries = [(good, "a", "one", 202), (good, "a", "two", 202), (good, None, "two", 202), (good, "a", "three", 401)]
    tries += [(own, "f", "three", 202), (own, "f", "one", 401), (own, None, "two", 401)]
    with Replicas(auth=True, **both) as replica:
        for private, id_, name, status in tries:
            assert publish(replica, private, id_, iss=name).status == status, (id_, name)
    with Replicas(auth=True, jwt_issuer="one", **both) as replica:  # the setting says whose keys the file holds
        assert publish(replica, own, "f", iss="one").status == 202
        assert publish(replica, own, "f", iss="two").status == 401


@pytest.mark.parametrize(
    "wrong",
    [{"kty": "RSA", "kid": "w"}, {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "RSA", "n": 1, "e": []}],
)
def test_a_key_that_is_no_good_takes_no_other_one_away(server: Server, wrong: dict[str, Any]) -> None:
    good = key()
    server.body = json.dumps({"keys": [wrong, *json.loads(jwks(a=good))["keys"]]}).encode()
    with Replicas(auth=True, issuers=json.dumps({"one": server.url}), **LOCAL) as replica:
        assert publish(replica, good).status == 202


def test_earlier_keys_stay_while_the_server_fails_or_lies(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuers, "_LEAST_SECONDS", 0.0)
    good = key()
    server.body = jwks(a=good)
    secret = {"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I", "kid": "a"}
    lies = (b"<html>", b"[]", b'{"keys": []}', b'{"keys": 3}', json.dumps({"keys": [secret]}).encode(), b"\xff\0", b"")
    lies += (b"[" * 200_000, b'{"keys": ' + b"[" * 200_000)  # nested too deeply for Python's own stack
    with Replicas(auth=True, issuers=json.dumps({"one": server.url}), **LOCAL) as replica:
        assert publish(replica, good).status == 202
        for lie in lies:
            server.body, asked = lie, server.asked
            assert publish(replica, key(), "unknown").status == 401
            assert server.asked > asked
            assert publish(replica, good).status == 202
            assert replica.service.authority.failing == 1
        assert "1 earlier keys stay in force" in caplog.text
        server.body = jwks(b=good)
        assert publish(replica, good, "b").status == 202
        assert replica.service.authority.failing == 0
        assert publish(replica, good, "a").status == 401  # its issuer has taken it back


def test_while_an_issuer_was_never_reached_its_tokens_get_503_and_others_serve(server: Server) -> None:
    good = key()
    server.body = jwks(a=good)
    named = json.dumps({"one": server.url, "two": "http://127.0.0.1:1/"})
    with Replicas(auth=True, issuers=named, **LOCAL) as replica:
        eventually(lambda: replica.service.authority.failing == 1)
        assert publish(replica, good).status == 202
        answer = publish(replica, good, iss="two")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")


@pytest.mark.parametrize(
    "text", ["x", "[]", '{"": "https://a.example"}', '{"a": "ftp://a"}', '{"a": "https://u:p@a/"}', '{"a": 1}']
)
def test_a_setting_that_makes_no_sense_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigurationError, match="SSE_ISSUERS"):
        load({"SSE_AUTH": "on", "SSE_ISSUERS": text})
