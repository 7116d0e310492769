"""What arrives by HTTP and makes no sense: refused with the reason, or cut; nothing stored, nothing broken, no 5xx."""

from __future__ import annotations

import json
import logging
import random
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

import pytest
from sse_harness import Answer, Client, Replicas, Stream, eventually

from sse_app.http.stream_request import QUERY_NAMES

BODY = b'{"channel":"bad","data":1}'


class Case(NamedTuple):
    """A request by its bytes, the statuses that it may get (0: cut without an answer), and what the reason names."""

    what: str
    head: str
    statuses: tuple[int, ...]
    said: str = ""
    body: bytes = b""
    end: bool = False  # nothing follows: the sending side is closed


def publish(what: str, headers: str, statuses: tuple[int, ...], body: bytes = BODY, **more: Any) -> Case:
    return Case(
        f"publish, {what}",
        f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json{headers}",
        statuses,
        body=body,
        **more,
    )


def event(what: str, statuses: tuple[int, ...], said: str, **fields: Any) -> Case:
    return document(what, statuses, said, json.dumps({"channel": "bad", "data": 1, **fields}).encode())


def document(what: str, statuses: tuple[int, ...], said: str, body: bytes) -> Case:
    return publish(what, f"\nContent-Length: {len(body)}", statuses, body=body, said=said)


def asked(path: str, what: str, statuses: tuple[int, ...], said: str, body: bytes) -> Case:
    head = f"POST /api/v1/{path} HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}"
    return Case(f"{path}, {what}", head, statuses, said, body)


def get(
    what: str, target: str, statuses: tuple[int, ...], said: str = "", headers: str = "", verb: str = "GET"
) -> Case:
    return Case(f"{verb}, {what}", f"{verb} {target} HTTP/1.1\nHost: x{headers}", statuses, said)


def stream(what: str, query: str, said: str) -> Case:
    return get(what, f"/api/v1/stream?{query}", (400,), said)


def nested(depth: int) -> bytes:
    return b'{"channel":"bad","data":' + b"[" * depth + b"]" * depth + b"}"


CHUNKED = "\nTransfer-Encoding: chunked"
HOSTILE = {
    "CR": "\r",
    "LF": "\n",
    "CRLF": "\r\n",
    "NUL": "\0",
    "field": "x\nid: 9-00000000",
    "line separator": "\u2028",
}

CASES = [
    # the length of a body
    publish("a body over the limit", "\nContent-Length: 20001", (413,), b"x" * 20_001, said="20000 bytes"),
    publish("the announcement of one", "\nContent-Length: 9999999999", (413,), b"", said="20000 bytes"),
    document("one that JSON makes longer", (413,), "as stored", b'{"channel":"bad","data":[%b1]}' % (b"1e15," * 3900)),
    publish("a length above the body", "\nContent-Length: 100", (0, 400), end=True),
    publish("a length below the body", "\nContent-Length: 10", (400,)),
    publish("a negative length", "\nContent-Length: -1", (400,)),
    publish("a length that is text", "\nContent-Length: x", (400,)),
    publish("a length of 2^64", f"\nContent-Length: {2**64}", (400,)),
    publish("two lengths", "\nContent-Length: 26\nContent-Length: 27", (400,)),
    publish("a length and chunks", "\nContent-Length: 26\nTransfer-Encoding: chunked", (400,)),
    publish("no length", "", (400,), b"", said="not JSON"),
    publish("an unknown coding", "\nTransfer-Encoding: gzip", (400,), said="chunked"),
    publish("an unknown coding below the chunks", "\nTransfer-Encoding: gzip, chunked", (501,), b"0\r\n\r\n"),
    publish("chunks twice", "\nTransfer-Encoding: chunked, chunked", (400, 501), b"0\r\n\r\n"),
    # what a body says that it is
    *(publish(f"packed by {coding}", f"\nContent-Length: 26\nContent-Encoding: {coding}", (415,), said=coding)
      for coding in ("gzip", "br", "identity, gzip")),
    *(Case(f"publish, {charset}", f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Length: 26\nContent-Type: "
           f"application/json;{charset}", (415,), "utf-8", BODY)
      for charset in ("charset=utf-16", ' Charset = "ISO-8859-1"', "charset=utf-8;charset=utf-7", "charset=")),
    *(Case(f"{path}, packed", f"POST /api/v1/{path} HTTP/1.1\nHost: x\nContent-Type: application/json\n"
           "Content-Encoding: gzip\nContent-Length: 2", (415,), "gzip", b"{}") for path in ("stream", "tickets")),
    publish("chunks without end", CHUNKED, (413,), b"3e8\r\n%b\r\n" % (b"x" * 1000) * 30, said="20000 bytes"),
    publish("a chunk of 2^64", CHUNKED, (400,), b"1" + b"0" * 16 + b"\r\nx"),
    publish("a chunk size that is text", CHUNKED, (400,), b"size\r\nx"),
    publish("a chunk that is longer than it says", CHUNKED, (400,), b"1\r\nxx\r\n"),
    publish("an extension of a chunk without end", CHUNKED, (431,), b"1;" + b"x" * 500_000),
    publish("trailers without end", CHUNKED, (0, 400, 431), b"1\r\n{\r\n0\r\n" + b"X-Trailer: y\r\n" * 40_000),
    publish("the body ends early", CHUNKED, (0, 400), b"5\r\n{", end=True),
    # the head
    Case("a head without end", "GET /health/live HTTP/1.1\nX: " + "y" * 500_000, (400, 431)),
    # Each costs time before anybody is known who pays for it, and NGINX lets 8,000 of the shortest pass.
    get("too many headers", "/health/live", (431,), "more than 200 headers", "\na: b" * 200),
    get("as many headers as there may be", "/health/live", (200,), "", "\na: b" * 199),
    publish("too many trailers", CHUNKED, (0, 400, 431), b"1\r\n{\r\n0\r\n" + b"a: b\r\n" * 201 + b"\r\n"),
    Case("ten thousand headers", "GET /health/live HTTP/1.1" + "\nX-Header: y" * 40_000, (400, 431)),
    Case("a request line without end", f"GET /{'x' * 70_000} HTTP/1.1\nHost: x", (400, 404, 414, 431)),
    Case("no HTTP", "hello", (400,)),
    Case("no HTTP, but TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,)),
    *(Case(f"HTTP/{version}", f"GET /health/live HTTP/{version}\nHost: x", (505,), "HTTP/1.1")
      for version in ("0.9", "1.2", "2.0", "3.7")),
    Case("an address over all bounds", f"GET /?{'x' * 66_000} HTTP/1.1\nHost: x", (414, 431)),
    Case("no host", "GET /health/live HTTP/1.1", (400,), "found none"),
    Case("two hosts", "GET /health/live HTTP/1.1\nHost: x\nHost: x", (400,), "found 2"),
    *(Case(f"the host {host}", f"GET /health/live HTTP/1.1\nHost: {host}", (400,), "Host: expected")
      for host in ("a b", "a,b", "u@x", "x:y", "[::1", "\xe9")),
    Case("HTTP/1.0 for a stream", "GET /api/v1/stream?channel=a HTTP/1.0", (505,), "HTTP/1.1"),
    get("a header with a NUL", "/api/v1/channels", (400,), headers="\nX: a\0b"),
    get("a header folded over lines", "/api/v1/channels", (200, 400), headers="\nX: a\n b"),
    get("a space before a header's colon", "/api/v1/channels", (400,), headers="\nX : a"),
    get("bytes above ASCII in a path", "/\xff", (400, 404)),
    get("no path", "*", (400, 404)),
    get("an upgrade to WebSocket", "/api/v1/channels", (200,), headers="\nUpgrade: websocket\nConnection: Upgrade"),
    get("an upgrade to HTTP/2", "/api/v1/channels", (200,), headers="\nUpgrade: h2c\nConnection: Upgrade"),
    # where a request goes
    Case("a made-up host", "GET /api/v1/stream/ HTTP/1.1\nHost: evil.example", (404,)),
    get("a made-up client", "/api/v1/nothing", (404,), headers="\nX-Forwarded-For: 10.0.0.1, ::1, not an address"),
    get("a made-up client and scheme", "/", (404,), headers="\nX-Forwarded-Proto: javascript\nForwarded: for=x"),
    get("a path that climbs", "/../../etc/passwd", (404,)),
    get("a path that climbs by escapes", "/api/v1/%2e%2e/%2e%2e/metrics", (404,)),
    get("a channel that climbs", "/api/v1/channels/../../metrics/history", (200,)),
    get("a channel with an escaped line", "/api/v1/channels/a%0ab/history", (400, 404)),
    get("no number", "/api/v1/channels?limit=x", (400,), "limit: expected a number"),
    get("a channel with a glob", "/api/v1/channels/a*/history", (400,), "channel"),
    get("a channel with a NUL", "/api/v1/channels/a%00/history", (400,), "channel"),
    get("a channel that is not UTF-8", "/api/v1/channels/%ff%fe/history", (400,), "channel"),
    get("a channel of 201 characters", f"/api/v1/channels/{'x' * 201}/history", (400,), "channel"),
    *(get(f"limit {limit}", f"/api/v1/channels/a/history?limit={limit}", (400,), "limit: ")
      for limit in ("0", "-1", "1001", "1e3", "x", "%00", "9" * 5000, "1.0", "1_0", "%201", "%2B1", "%D9%A1")),
    *(get("on events", "/api/v1/events", (405,), verb=verb) for verb in ("GET", "PUT", "DELETE", "TRACE", "OPTIONS")),
    *(get("on a stream", "/api/v1/stream?channel=a", (405,), "GET", verb=verb) for verb in ("OPTIONS", "PUT")),
    get("on a stream", "/api/v1/stream?channel=a", (400,), "JSON body", verb="POST"),
    *(get("no verb of HTTP", path, (501,), "unknown", verb=verb)
      for path in ("/api/v1/events", "/api/v1/stream?channel=a", "/nothing") for verb in ("FOO", "get", "BREW")),
    get("no characters of a verb", "/api/v1/events", (400,), verb="F@O"),
    get("a verb alone", "x:443", (400,), verb="CONNECT"),
    # a parameter
    *(get(f"{name} with {text}", f"/api/v1/{path}{name}={text}", (400,), name) for text in ("%00", "a%0d%0ab", "%7f")
      for path, name in (
          ("channels?", "after"), ("channels?", "limit"), ("channels/a/history?", "after"),
          ("channels/a/history?", "before"), ("channels/a/history?", "meta"),
          *(("stream?channel=a&", name) for name in QUERY_NAMES),
      )),
    *(get(f"after {text}", f"/api/v1/channels?after={text}", (400,), "after") for text in ("*", "a%20b", "%zz", "a.*")),
    # a stream
    stream("no channel", "", "channel"),
    stream("a misspelt parameter", "chanel=a", "channel"),
    stream("an empty channel", "channel=", "channel"),
    stream("one of two is empty", "channel=a&channel=", "channel"),
    stream("a space", "channel=a%20b", "a b"),
    stream("CR LF", "channel=a%0d%0ab", "channel"),
    stream("NUL", "channel=a%00", "channel"),
    stream("a BOM", "channel=%ef%bb%bfa", "channel"),
    stream("no UTF-8", "channel=%ff", "UTF-8"),
    stream("a glob within", "channel=a.*.b", "a.*.b"),
    stream("another glob", "channel=a?[b]", "channel"),
    stream("a regular expression", "channel=.%2B", "channel"),
    stream("too many channels", "&".join(["channel=a"] * 6), "6 given, at most 5"),
    stream("thousands of channels", "&".join(["channel=a"] * 5_000), "5000 given, at most 5"),
    get("ten thousand channels", f"/api/v1/stream?{'&'.join(['channel=a'] * 10_000)}", (414,), "POST"),
    stream("an unknown heartbeat", "channel=a&heartbeat=no", "heartbeat"),
    # JSON
    document("nothing", (400,), "not JSON", b" "),
    document("half of it", (400,), "not JSON", b'{"channel":"bad"'),
    document("UTF-16", (400,), "not JSON", BODY.decode().encode("utf-16")),
    document("a BOM", (400,), "not JSON", b"\xef\xbb\xbf" + BODY),
    document("no UTF-8", (400,), "not JSON", b'{"channel":"bad","data":"\xff"}'),
    document("NUL in a text", (400,), "not JSON", b'{"channel":"bad","data":"\0"}'),
    document("nesting", (400,), "deep", nested(9_000)),
    document("NaN", (400,), "NaN", b'{"channel":"bad","data":NaN}'),
    document("Infinity", (400,), "Infinity", b'{"channel":"bad","data":[-Infinity]}'),
    document("a number above all numbers", (422,), "data", b'{"channel":"bad","data":1e999}'),
    document("a number of 5,000 digits", (400,), "not JSON", b'{"channel":"bad","data":%b}' % (b"9" * 5000)),
    document("half a surrogate pair", (422,), "data", b'{"channel":"bad","data":"\\ud800"}'),
    document("a name twice", (400,), "twice", b'{"channel":"bad","data":1,"data":2}'),
    document("a name twice within data", (400,), "twice", b'{"channel":"bad","data":{"a":1,"a":1}}'),
    *(document(f"{text} for an event", (422,), "0: ", text.encode()) for text in ("null", "1", '"x"', "true", "[[]]")),
    document("a list for an event", (422,), "0: expected an object", b"[[]]"),
    document("no channel", (422,), "channel", b'{"data":1}'),
    document("no data", (422,), "data", b'{"channel":"bad"}'),
    document("no events", (422,), "1 to 50", b"[]"),
    document("too many events", (422,), "1 to 50", b"[" + b",".join([BODY] * 51) + b"]"),
    document("one bad event in a batch", (422,), "1.channel", b'[{"channel":"a","data":1},{"channel":"","data":1}]'),
    # the same for what streams and tickets are asked for by
    *(asked(path, what, status, said, body) for path in ("stream", "tickets") for what, status, said, body in (
        ("UTF-16", (400,), "not JSON", '{"channel":"a"}'.encode("utf-16")),
        ("a BOM", (400,), "not JSON", b'\xef\xbb\xbf{"channel":"a"}'),
        ("NaN", (400,), "NaN", b'{"seconds":NaN}'),
        ("nesting", (400,), "nested too deeply", b"[" * 9_000),
        ("a name twice", (400,), "twice", b'{"subscribe":[],"subscribe":[]}'),
        *((text, (422,), "expected an object such as", text.encode()) for text in ("null", "[]", "1", '"x"')),
    )),
    # fields of an event
    event("an unknown field", (422,), "retry", retry=1),
    event("a name of the stream's own", (422,), "0.event: the name is reserved", event="gap"),
    event("an id of its own", (422,), "id", id="9-00000000"),
    *(event(f"channel with {name}", (422,), "channel", channel=f"a{text}b") for name, text in HOSTILE.items()),
    *(event(f"event with {name}", (422,), "event", event=f"a{text}b") for name, text in HOSTILE.items()),
    *(event(f"channel {channel!r:.20}", (422,), "channel", channel=channel)
      for channel in ("", " ", "*", "a.*", "a b", "é", "a\n", "../a?b", "{a}", "x" * 201, None, 1, ["a"])),
    *(event(f"event {name!r:.20}", (422,), "event", event=name)
      for name in ("", "gap", "bye", "cursor", "x" * 201, "\ud800", None, 1)),
    # keys
    *(publish(f"a key {key!r:.20}", f"\nContent-Length: 26\nIdempotency-Key: {key}", (400,), said="Idempotency-Key")
      for key in ("a b", "\xe9", "x" * 201)),
]  # fmt: skip


@pytest.fixture(scope="module")
def quiet() -> Iterator[Replicas]:
    """A replica that nobody else publishes to, so that its log's end can be compared."""
    with Replicas(max_body_bytes=20_000, max_batch_events=50, max_channels_per_stream=5, replica="r-1") as replica:
        yield replica


def ask(port: int, case: Case) -> Answer:
    """The answer to exactly these bytes; status 0 where the connection ended without one."""
    with Client(port) as client:
        try:
            client.send(case.head, case.body)
            if case.end:
                client.socket.shutdown(socket.SHUT_WR)
        except OSError:  # refused before all was sent
            pass
        try:
            return client.answer()
        except ConnectionError:
            return Answer(0, {}, b"")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what[:60])
def test_it_is_refused_with_the_reason_and_changes_nothing(
    quiet: Replicas, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    end = quiet.service.hub.ring.end
    answer = ask(quiet.port, case)
    assert answer.status in case.statuses, answer
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers["x-replica"] == "r-1"
        assert int(answer.headers["content-length"]) == len(answer.body)
        assert answer.json["status"] == answer.status
        assert answer.json["request_id"] == answer.headers["x-request-id"]
        assert (answer.status == 405) == ("allow" in answer.headers)
        assert answer.status != 415 or answer.headers.keys() & {"accept", "accept-encoding"}
        assert case.said in answer.json["detail"]
        assert b"Traceback" not in answer.body
        assert b"evil" not in answer.body
    assert quiet.get("/health/live").status == 200
    assert quiet.service.hub.ring.end == end
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("cursor", "reason"),
    [
        ("nonsense", "malformed"), ("-1", "malformed"), ("0", "malformed"), ("1-0123abc", "malformed"),
        (str(2**64), "malformed"), (f"{2**64}-0123abcd", "malformed"), (f"{2**63}-0123abcd", "malformed"),
        ("-5-0123abcd", "malformed"), ("01-0123abcd", "malformed"), ("1-0123ABCD", "malformed"),
        ("9" * 8_000, "malformed"), ("\xff\xfe", "malformed"), ("\xef\xbb\xbf1-0123abcd", "malformed"),
        ("1-0123abcd: x", "malformed"), ("1-0123abcd%0a", "malformed"), ("../1-0123abcd", "malformed"),
        (f"{2**62}-0123abcd", "truncated"), ("999999-0123abcd", "truncated"), ("0-00000000", "truncated"),
    ],
    ids=lambda value: value[:20],
)  # fmt: skip
@pytest.mark.parametrize("how", ["header", "query"])
def test_a_cursor_that_is_none_of_this_history_gets_a_gap_in_one_block_and_then_goes_on_live(
    quiet: Replicas, cursor: str, reason: str, how: str
) -> None:
    [newest] = quiet.publish({"channel": "cursor", "data": "before"})
    text = cursor.encode("latin-1").decode("utf-8", "replace")
    opened = (
        Stream(quiet.port, "cursor", cursor)
        if how == "header"
        else Stream(quiet.port, "cursor", last_event_id=cursor.encode("latin-1"))  # type: ignore[arg-type]
    )
    if how == "query" and "\ufffd" in text:  # the query can say that it is not UTF-8
        assert opened.status == 400
        return
    with opened as stream:
        assert stream.status == 200
        gap = stream.block()
        assert [name for name, _ in gap.fields] == ["retry", "event", "data", "id"]  # one block: see resume.py
        assert (gap.event, gap.id) == ("gap", newest)
        assert gap.json == {"requested": text[:100], "resumed_from": newest, "reason": reason}
        quiet.publish({"channel": "cursor", "data": "after"})
        assert stream.events(1)[0].data == "after"


QUERY = ["channel", "last_event_id", "heartbeat", "trace", "ticket", "=", "=", "&", "&", "*", ".*", "a", "%2a", "%00",
    "%0d%0a", "%ff", "%", "+", ";", "?", "id", "event", "0", "1", "-", "0123abcd", "[]", "\xe9", "x" * 300]  # fmt: skip
CURSOR = ["0", "1", "9", "18446744073709551616", "-", "-", "0123abcd", "ABCDEF01", "~", ",", ".", " ", "\t", "%00",
    "\xff", "\xc3", "id: 9", "x" * 900]  # fmt: skip


def test_no_query_and_no_cursor_is_an_error_of_the_server(quiet: Replicas) -> None:
    source = random.Random(20261124)
    seen = Counter[int]()
    for _ in range(1500):
        query = "".join(source.choices(QUERY, k=source.randrange(12)))
        if source.random() < 0.5:
            query = f"channel=a&{query}"
        cursor = "".join(source.choices(CURSOR, k=source.randrange(8)))
        with Client(quiet.port) as client:
            client.send(f"GET /api/v1/stream?{query} HTTP/1.1\nHost: x\nLast-Event-ID: {cursor}")
            answer = client.head()
            seen[answer.status] += 1
            if answer.status == 200:
                assert (client.chunk() or b"").startswith(b"retry: "), (query, cursor)
    assert min(seen) == 200
    assert max(seen) < 500
    assert seen[200] > 50


def test_an_empty_cursor_is_none(quiet: Replicas) -> None:
    with quiet.stream("cursor", "") as header, quiet.stream("cursor", last_event_id="") as query:
        for stream in (header, query):
            assert [name for name, _ in stream.block().fields] == ["retry", "event", "data", "id"]


@pytest.mark.parametrize(
    "sent", ["", "GET /api/v1/stream?channel=a HTTP/1.1\r\n", "POST /api/v1/events HTTP/1.1\r\nX: "]
)
def test_a_head_that_does_not_come_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, sent: str) -> None:
    monkeypatch.setattr("sse_app.http.uvicorn_protocol._HEAD_SECONDS", 0.2)
    with Replicas() as replica, Client(replica.port) as client:
        client.socket.sendall(sent.encode())
        with suppress(ConnectionError):
            assert not client.receive()
        assert not client.raw


def test_a_body_that_does_not_come_is_not_waited_for(quiet: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_app.http.body._BODY_SECONDS", 0.2)
    with Client(quiet.port) as client:
        client.send(
            "POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 26", BODY[:-1]
        )
        answer = client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert not client.receive()


def test_bytes_after_a_stream_request_put_no_other_answer_into_the_stream(quiet: Replicas) -> None:
    with quiet.stream("cursor") as stream:
        stream.block()
        stream.socket.sendall(b"\0\0 nonsense\r\n\r\n")
        with suppress(ConnectionError):
            while stream.receive():
                pass
        assert b"HTTP/1.1" not in stream.raw


def test_more_requests_than_can_wait_for_an_answer_end_their_connection(quiet: Replicas) -> None:
    connections = quiet._servers[0].server_state.connections
    with Client(quiet.port) as client, suppress(ConnectionError):
        for _ in range(1000):
            client.socket.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 1000)
            assert all(len(connection.pipeline) <= 100 for connection in list(connections))
        pytest.fail("a million requests were taken")


def test_a_flood_of_connections_and_of_requests_leaves_the_replica_serving(quiet: Replicas) -> None:
    with ExitStack() as stack, quiet.stream("flood") as stream:
        stream.block()
        idle = [stack.enter_context(Client(quiet.port)) for _ in range(500)]
        for client in idle[:250]:
            client.socket.sendall(b"GET /api/v1/stream?")
        client = idle[-1]
        for _ in range(5):
            client.socket.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            assert {client.answer().status for _ in range(100)} == {200}
        quiet.publish({"channel": "flood", "data": 1})
        assert stream.events(1)[0].data == "1"
    eventually(lambda: len(quiet._servers[0].server_state.connections) <= 1)
