"""A publish takes its body from the connection and writes its answer to it, with the same outcome as by ASGI."""

from __future__ import annotations

import json
import socket

import pytest
from sse_harness import Answer, Client, Replicas

EVENT = b'{"channel":"a","data":1}'


def request(body: bytes = EVENT, version: str = "1.1", **headers: str) -> bytes:
    lines = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    text = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in lines.items())
    return f"POST /api/v1/events HTTP/{version}\r\n{text}\r\n".encode() + body


def test_pipelined_publishes_are_answered_in_their_order(replica: Replicas) -> None:
    keys = [f"pipelined-{n}" for n in range(20)]
    with Client(replica.port) as client:
        client.socket.sendall(b"".join(request(Idempotency_Key=key) for key in keys))
        answers = [client.answer() for _ in keys]
    assert [(one.status, one.headers["idempotency-key"]) for one in answers] == [(202, key) for key in keys]
    offsets = [int(one.json["ids"][0].split("-")[0]) for one in answers]
    assert offsets == sorted(offsets)


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_a_body_in_pieces_counts_as_one(replica: Replicas, pieces: int) -> None:
    whole = request()
    with Client(replica.port) as client:
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        size = -(-len(whole) // pieces)
        for begin in range(0, len(whole), size):
            client.socket.sendall(whole[begin : begin + size])
        assert client.answer().status == 202


def test_a_chunked_body_over_the_limit_is_refused_also_where_it_is_whole_when_it_is_read() -> None:
    with Replicas(max_body_bytes=1024) as replica, Client(replica.port) as client:
        data = b'"%b"' % (b"x" * 2000)
        body = b'{"channel":"a","data":%b}' % data
        head = "POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nTransfer-Encoding: chunked"
        client.send(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
        answer = client.answer()
        assert (answer.status, answer.json["detail"]) == (413, "the body is over 1024 bytes")


@pytest.mark.parametrize(("version", "headers"), [("1.0", {}), ("1.1", {"Connection": "close"})])
def test_a_client_that_asks_for_it_is_answered_and_left(
    replica: Replicas, version: str, headers: dict[str, str]
) -> None:
    with Client(replica.port) as client:
        client.socket.sendall(request(version=version, **headers))
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (202, "close")
        assert not client.receive()


def test_a_client_that_waits_for_100_continue_gets_it(replica: Replicas) -> None:
    whole = request(Expect="100-continue")
    with Client(replica.port) as client:
        client.socket.sendall(whole[: -len(EVENT)])
        assert client.head().status == 100
        client.socket.sendall(EVENT)
        assert client.answer().status == 202


def test_the_answer_to_an_allowed_page_has_what_any_other_has_and_allows_it() -> None:
    with Replicas(cors_origins="https://a.example") as replica:

        def answer(**headers: str) -> Answer:
            with Client(replica.port) as client:
                client.socket.sendall(request(Idempotency_Key="k", X_Request_ID="r", **headers))
                return client.answer()

        plain, page = answer(), answer(Origin="https://a.example")
        assert page.headers["access-control-allow-origin"] == "https://a.example"
        assert plain.headers.keys() >= {"x-replica", "x-request-id", "content-type", "content-length", "date"}
        assert {name: page.headers[name] for name in plain.headers if name != "date"} == {
            name: value for name, value in plain.headers.items() if name != "date"
        }
        assert json.loads(page.body) == json.loads(plain.body)


def test_an_idle_connection_is_closed_some_time_after_its_last_request() -> None:
    with Replicas() as replica:
        replica._servers[0].config.timeout_keep_alive = 1
        with Client(replica.port) as client:
            for _ in range(3):
                client.socket.sendall(request())
                assert client.answer().status == 202
            client.socket.settimeout(60)
            assert not client.receive()
