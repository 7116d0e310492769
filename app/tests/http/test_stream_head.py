"""A stream begins with one write, and with the same head as where the server writes it."""

from __future__ import annotations

import pytest
from sse_harness import Client, Replicas, eventually

from sse_app.fanout import socket_writer

_OTHERS = {"date", "vary", "access-control-expose-headers"}  # that differ for good
ASKED = "GET /api/v1/stream?channel=a HTTP/1.1\nHost: x\nX-Request-ID: 1"


def test_the_head_and_the_opening_are_one_write(replica: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []

    def send(descriptor: int, data: bytes) -> int:
        written.append(data)
        return real(descriptor, data)

    real = socket_writer.send
    monkeypatch.setattr(socket_writer, "send", send)
    with Client(replica.port) as client:
        client.send(ASKED)
        client.head()
        eventually(lambda: written)
    assert written[0].startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"event: cursor\n" in written[0]


# An Origin may need headers of CORS, and a client that leaves gets a header that says so: both are left to the server.
@pytest.mark.parametrize("other", ["Origin: http://localhost:1", "Connection: close"])
def test_the_head_is_the_same_whoever_writes_it(other: str) -> None:
    with Replicas(cors_origins="http://another.example") as replica:
        heads: list[dict[str, str]] = []
        for asked in (ASKED, f"{ASKED}\n{other}"):
            with Client(replica.port) as client:
                client.send(asked)
                answer = client.head()
                assert answer.status == 200
                heads.append({name: value for name, value in answer.headers.items() if name not in _OTHERS})
    assert heads[1].pop("connection", "close") == "close"
    assert heads[0] == heads[1]
    assert heads[0]["transfer-encoding"] == "chunked"


def test_after_a_stream_the_connection_serves_the_next_request(replica: Replicas) -> None:
    with Client(replica.port) as client:
        client.send(f"{ASKED}\n")
        client.head()
        replica.call(lambda: [one.end("test") for one in replica.service.hub.streams])
        while not client.raw.endswith(b"0\r\n\r\n"):
            assert client.receive()
        client.raw.clear()
        client.send("GET /health/live HTTP/1.1\nHost: x")
        assert client.answer().status == 200
