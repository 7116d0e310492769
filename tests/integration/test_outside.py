"""What the world gets at the public door: the declared routes and nothing else, whatever it sends."""

from __future__ import annotations

import json
import socket
import time
import uuid

import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack

BODY = b'{"channel":"bad","data":1}'
POST = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"


def ask(stack: Stack, request: bytes, seconds: float = 10) -> tuple[int, dict[str, str], bytes]:
    """Send exactly these bytes to nginx; status 0 where the connection ends without an answer."""
    received = b""
    with socket.create_connection(("127.0.0.1", stack.http_port), seconds) as connection:
        try:
            connection.sendall(request)
            until = time.monotonic() + seconds
            while time.monotonic() < until and (part := connection.recv(65536)):
                received += part
        except (ConnectionError, TimeoutError):  # refused before all was sent, or a stream that goes on
            pass
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:
        return 0, {}, b""
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return int(status.split()[1]), headers, body


def get(target: str, headers: str = "", method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n".encode("latin-1")


@pytest.mark.parametrize(
    "path",
    [
        "/", "/metrics", "/docs", "/redoc", "/openapi.json", "/health", "/health/ready", "/stub_status",
        "/nginx_status",
        "/api/", "/api/v1/metrics", "/api/v1/docs", "/api/v1/openapi.json", "//metrics", "/-/refused", "/.git/config",
        "/api/v1/../../metrics", "/api/v1/%2e%2e/%2e%2e/metrics", "/api/v1/..%2f..%2fmetrics", "/api/v1/./metrics",
        "/api/v1/%2e%2e%2f%2e%2e%2fdocs", "/api/v1/events/../../../docs", "/grafana", "/admin", "/../../etc/passwd",
    ],
)  # fmt: skip
def test_what_is_no_route_is_a_problem_and_shows_nothing_of_the_inside(stack: Stack, path: str) -> None:
    status, headers, body = ask(stack, get(path))
    assert status in (400, 404)
    assert headers["content-type"] == "application/problem+json"
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (b"nonsense\r\n\r\n", (400,)),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", (400,)),
        (b"GET /api/v1/channels HTTP/3.7\r\nHost: x\r\n\r\n", (505,)),
        (b"GET /api/v1/channels HTTP/1.1\r\n\r\n", (400,)),
        (b"GET /api/v1/channels HTTP/1.1\r\nHost: a b\r\n\r\n", (400,)),
        (b"GET /api/v1/channels HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", (400,)),
        (get("/api/v1/channels", f"X: {'x' * 100_000}\r\n"), (431,)),
        (get(f"/{'x' * 100_000}"), (414,)),
        (get("/api/v1/stream?" + "&".join(["channel=a"] * 10_000)), (414,)),
        (get("/api/v1/stream?" + "&".join(["channel=a"] * 500)), (400,)),
        (get("/api/v1/stream?channel=a*b"), (400,)),
        (get("/api/v1/stream?channel=%ff"), (400,)),
        (get("/api/v1/channels/%00/history"), (400,)),
        (get("/api/v1/channels/%zz/history"), (400,)),
        (get("/api/v1/channels", method="TRACE"), (405,)),
        (get("/api/v1/events", method="DELETE"), (405,)),
        (get("/api/v1/events", method="FOO"), (501,)),
        (get("/api/v1/channels?after=%00"), (400,)),
        (POST + b"Content-Encoding: gzip\r\nContent-Length: 26\r\n\r\n" + BODY, (415,)),
        (get("/api/v1/events/", "X-Forwarded-For: no address\r\n").replace(b"Host: x", b"Host: evil.example"), (404,)),
        (POST + b"Content-Length: 99999999\r\n\r\n", (413,)),
        (POST + b"Content-Length: -1\r\n\r\n" + BODY, (400,)),
        (POST + b"Content-Length: 26\r\nContent-Length: 27\r\n\r\n" + BODY, (400,)),
        (POST + b"Content-Length: 26\r\nTransfer-Encoding: chunked\r\n\r\n" + BODY, (400,)),
        (POST + b"Transfer-Encoding: gzip\r\n\r\n", (400,)),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n%b\r\n" % (b"x" * 65536) * 20, (0, 413)),
        (POST + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n", (400,)),
        (POST + b'Content-Length: 26\r\n\r\n{"channel":"bad","data":NaN}', (400,)),
        (POST + b'Content-Length: 23\r\n\r\n{"channel":"b","d":"x"}', (422,)),
    ],
    ids=lambda value: None if isinstance(value, tuple) else repr(value[:60])[2:-1],
)  # fmt: skip
def test_what_makes_no_sense_is_a_problem_at_the_door_too(
    stack: Stack, request_: bytes, statuses: tuple[int, ...]
) -> None:
    status, headers, body = ask(stack, request_)
    assert status in statuses
    if status:
        assert headers["content-type"] == "application/problem+json"
        document = json.loads(body)
        assert (document["status"], document["request_id"]) == (status, headers["x-request-id"])
        assert document["detail"]
        assert "location" not in headers
        assert b"evil" not in body


@pytest.mark.parametrize(
    "cursor", ["-1", str(2**64), "x" * 8_000, "\xff\xfe", "999999999-00000000"], ids=lambda v: v[:9]
)
def test_a_cursor_that_makes_no_sense_is_a_gap_in_a_stream_and_never_an_error(stack: Stack, cursor: str) -> None:
    channel = f"it.{uuid.uuid4().hex}"
    status, headers, body = ask(stack, get(f"/api/v1/stream?channel={channel}", f"Last-Event-ID: {cursor}\r\n"), 2)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert b"\nevent: gap\n" in body


def test_a_stream_of_statistics_comes_through_the_door(stack: Stack) -> None:
    status, headers, body = ask(stack, get("/api/v1/stats/stream"), 2.5)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert body.count(b"\nevent: stats\n") >= 2
