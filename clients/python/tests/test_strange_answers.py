"""What the clients do with answers that no stream and no JSON should be, from a real server; each row is a case."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any

import both
import pytest
from strange_server import HEAD, Asked, Server, answer, stream

import sse_client.call
import sse_client.subscription
import sse_client.wire
from sse_client import (
    Again,
    Bye,
    Cursor,
    Gap,
    Message,
    OutcomeUnknownError,
    RedirectError,
    RefusedError,
    SseError,
    TooLongError,
    UnexpectedAnswerError,
    UnreachableError,
)

PAGE = "<!doctype html><title>Sign in</title>"
GOOD = stream("retry: 10\nid: 1-a\n\ndata: x\nid: 2-b\n\n")
X = Message("message", "x", "2-b")
STOP = answer(204)


@dataclass(frozen=True)
class Certificate:
    """A certificate that nobody trusts, for both sides."""

    server: ssl.SSLContext
    trusted: ssl.SSLContext


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    place = tmp_path_factory.mktemp("tls")
    made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    key, certificate = str(place / "key"), str(place / "crt")
    names = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(["openssl", *made, *names, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return Certificate(context, ssl.create_default_context(cafile=certificate))


@pytest.fixture(params=both.KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse_client.subscription, "_RETRY_MS", 10)
    monkeypatch.setattr("sse_client.call._FIRST_BACKOFF", 0.005)


FINAL: dict[str, tuple[list[bytes], type[SseError], str]] = {
    "a page": (answer(200, PAGE, "text/html; charset=utf-8"), UnexpectedAnswerError, "text/html.*Sign in"),
    "JSON": (answer(200, '{"ok": true}', "application/json"), UnexpectedAnswerError, r'application/json.*\{"ok"'),
    "no type": (answer(200, "data: x\n\n"), UnexpectedAnswerError, "no content type"),
    "another type that begins alike": (answer(200, "", "text/event-streams"), UnexpectedAnswerError, "event-streams"),
    "a part": (answer(206, "data: x\n\n", "text/event-stream"), UnexpectedAnswerError, "status 206"),
    "stored": (answer(202, '{"ids": []}', "application/json"), UnexpectedAnswerError, "status 202"),
    "not modified": (answer(304), UnexpectedAnswerError, "status 304"),
    "brotli": (
        [HEAD + b"Content-Encoding: br\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"],
        UnexpectedAnswerError,
        "not encoded as br",
    ),
    "a packed page": (
        answer(200, gzip.compress(PAGE.encode()), "text/html", Content_Encoding="gzip"),
        UnexpectedAnswerError,
        "Sign in",
    ),
    "400": (
        answer(400, '{"title": "Bad", "detail": "no channel"}', "application/problem+json"),
        RefusedError,
        "400: no channel",
    ),
    "401": (answer(401, '{"detail": "expired"}', "application/problem+json"), RefusedError, "401: expired"),
    "403": (answer(403, PAGE, "text/html"), RefusedError, "403: .*text/html.*Sign in"),
    "404": (answer(404, ""), RefusedError, "404"),
    "500": (answer(500, "oops", "text/plain"), RefusedError, "500.*oops"),
    "no way on": (answer(302), RedirectError, "no Location"),
    "away from HTTP": (answer(302, Location="ftp://127.0.0.1/x"), RedirectError, "no address of HTTP"),
    "a broken way on": (answer(302, Location="http://[::1"), RedirectError, "no address of HTTP"),
    "a host with an empty part": (answer(302, Location="http://a..b/"), RedirectError, "no address of HTTP"),
    "a host with an endless part": (answer(302, Location=f"http://{'a' * 64}/"), RedirectError, "no address of HTTP"),
    "a circle": (answer(307, Location="/api/v1/stream"), RedirectError, "without end"),
    "an endless line": (stream(b"data: " + b"x" * 2000), TooLongError, "more than 1000"),
}


@pytest.mark.parametrize("name", FINAL)
def test_what_is_no_stream_ends_with_an_error_that_shows_what_came(kind: str, name: str) -> None:
    given, error, shown = FINAL[name]
    with Server([given]) as server, pytest.raises(error, match=shown):
        both.listen(kind, server.url, longest=1000)
    assert len(server.asked) == (21 if name == "a circle" else 1)


AGAIN: dict[str, Iterable[bytes]] = {
    **{str(status): answer(status, PAGE, "text/html") for status in (429, 502, 503, 504, 522)},
    "nothing": [],
    "half a head": [b"HTTP/1.1 200 OK\r\nContent-Ty"],
    "no HTTP": [b"SSH-2.0-OpenSSH_9.2\r\n"],
    "an empty stream": stream(""),
    "a cut event": stream("data: lost\nid: 9-z\n"),
    "a cut chunk": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\ndata: lost\n"],
    "a broken chunk": [HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n\r\n"],
    "broken gzip": [HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\nno gzip at all"],
}


@pytest.mark.parametrize("name", AGAIN)
def test_what_may_be_better_soon_is_asked_again(kind: str, name: str) -> None:
    waits: list[Again] = []
    with Server([AGAIN[name], AGAIN[name], GOOD]) as server:
        assert both.listen(kind, server.url, 1, on_wait=waits.append) == [X]
    assert len(server.asked) == 3
    assert len(waits) == 2
    assert all(one.why and 0 < one.seconds < 1 for one in waits)
    assert not re.search(r"Error|Incomplete|Exception|^$", waits[0].why)


def test_204_means_stop(kind: str) -> None:
    with Server([GOOD, STOP]) as server:
        assert both.listen(kind, server.url) == [X]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, "2-b"]


@pytest.mark.parametrize("space", [" ", "\t"])
def test_white_space_around_an_id_does_not_end_the_stream(kind: str, space: str) -> None:
    with Server([stream(f"retry: 10\nid:  a{space}\ndata: x\n\n"), STOP]) as server:
        assert both.listen(kind, server.url) == [Message("message", "x", f" a{space}")]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, "a"]


@pytest.mark.parametrize("encoding", ["identity", "gzip", "chunked"])
def test_a_stream_is_read_wherever_it_is_cut(kind: str, encoding: str) -> None:
    text = "\ufeffretry: 10\r\nid: 1-a\r\n\r\ndata: é\rdata: b\nid: 2-b\r\r".encode()
    head = HEAD + {"gzip": b"Content-Encoding: gzip\r\n", "chunked": b"Transfer-Encoding: chunked\r\n"}.get(
        encoding, b""
    )
    body = gzip.compress(text, mtime=0) if encoding == "gzip" else text
    if encoding == "chunked":
        body = b"".join(b"1\r\n%c\r\n" % one for one in body) + b"0\r\n\r\n"
    whole = head + b"Connection: close\r\n\r\n" + body

    def bytewise(_: Asked) -> Iterable[bytes]:
        for n in range(len(whole)):
            yield whole[n : n + 1]
            time.sleep(0.0005)  # a segment of its own

    with Server([bytewise, STOP]) as server:
        assert both.listen(kind, server.url, cursors=True) == [Cursor("1-a"), Message("message", "é\nb", "2-b")]


@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_that_is_packed_in_several_members_is_read_to_its_end(kind: str, *, cut: bool) -> None:
    texts = ["retry: 10\nid: 1-a\n\ndata: x\n", "id: 2-b\n\nid: 3-c\nda", "ta: y\n\n"]
    members = [gzip.compress(one.encode()) for one in texts]
    head = HEAD + b"Content-Encoding: gzip\r\nConnection: close\r\n\r\n"
    with Server([[head, *members] if cut else [head + b"".join(members)], STOP]) as server:
        assert both.listen(kind, server.url) == [X, Message("message", "y", "3-c")]


def test_an_old_event_named_meta_is_told_from_what_describes_it(kind: str) -> None:
    meta = 'event: meta\ndata: {"channel":"a.x","time":"t"}\n\n'
    old = 'event: meta\ndata: {"channel":"forged"}\nid: 2-b\n\n'
    with Server([stream(f"retry: 10\nid: 1-a\n\n{meta}{old}{meta}data: x\nid: 3-c\n\n"), STOP]) as server:
        assert both.listen(kind, server.url, meta=True) == [
            Message("meta", '{"channel":"forged"}', "2-b", "a.x", "t"),
            Message("message", "x", "3-c", "a.x", "t"),
        ]


@pytest.mark.parametrize("control", ["\v", "\f", "\x01", "\x7f"])
def test_an_id_that_no_header_can_carry_does_not_end_the_stream(kind: str, control: str) -> None:
    with Server([stream(f"retry: 10\nid: a{control}b\ndata: x\n\n"), STOP]) as server:
        assert both.listen(kind, server.url) == [Message("message", "x", f"a{control}b")]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, "a?b"]


def test_latin_1_is_not_believed(kind: str) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: Text/Event-Stream; charset=ISO-8859-1\r\nConnection: close\r\n\r\n"
    with Server([[head + "data: é\n\n".encode()], STOP]) as server:
        assert both.listen(kind, server.url) == [Message("message", "é", "")]


@pytest.mark.parametrize("before", [[100], [103], [102, 100, 103, 199]])
def test_what_comes_before_an_answer_is_none(kind: str, before: list[int]) -> None:
    early = b"".join(b"HTTP/1.1 %d Wait\r\nLink: </a.css>; rel=preload\r\n\r\n" % one for one in before)
    stored = answer(202, '{"ids": ["1-a"]}', "application/json")
    with Server([[early + GOOD[0]], [early, *stored]]) as server:
        assert both.listen(kind, server.url, 1) == [X]
        assert both.publishes(kind, server.url, 1) == ["1-a"]
        assert len(server.asked) == 2


def test_silence_and_an_answer_that_does_not_come_end_a_connection(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_client.client.FIRST_BYTE_SECONDS", 0.3)
    monkeypatch.setattr("sse_client.async_client.FIRST_BYTE_SECONDS", 0.3)
    with Server([]) as server:

        def silent(_: Asked) -> Iterable[bytes]:
            yield from stream("id: 5-e\n\n")
            yield from server.hold()

        server.answers += [lambda _: server.hold(), silent, GOOD]
        assert both.listen(kind, server.url, 1, silence_seconds=0.3) == [X]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, None, "5-e"]


@pytest.mark.parametrize("encrypted", [False, True], ids=["HTTP", "HTTPS"])
@pytest.mark.parametrize("phase", ["no answer yet", "silence", "a long wait"])
def test_close_ends_a_stream_that_waits(
    kind: str, phase: str, tls: Certificate, monkeypatch: pytest.MonkeyPatch, *, encrypted: bool
) -> None:
    monkeypatch.setattr(sse_client.subscription, "_RETRY_MS", 50_000)
    with Server([], tls=tls.server if encrypted else None) as server:

        def silent(_: Asked) -> Iterable[bytes]:
            yield from GOOD
            yield from server.hold()

        server.answers = {
            "no answer yet": [lambda _: server.hold()],
            "silence": [silent],
            "a long wait": [[]],
        }[phase]
        found = both.closed_while_it_waits(kind, server.url, lambda: bool(server.asked), tls=tls.trusted)
    assert found in ([], [X])


def test_gaps_and_goodbyes_take_fields_that_are_new_missing_or_of_another_kind(kind: str) -> None:
    said = [
        'event: gap\ndata: {"requested":"1-a","resumed_from":"7-b","reason":"expired","history_changed_at":5}\nid: 7-b',
        "event: gap\ndata: [1]\nid: 8-c",
        'event: gap\ndata: {"reason": null}',
        'event: bye\ndata: {"reason":"draining","more":{}}',
        "event: bye\ndata: no JSON",
        "event: cursor\ndata: {}\nid: 9-d",
    ]
    with Server([stream("\n\n".join([*said, ""])), STOP]) as server:
        found = both.listen(kind, server.url, cursors=True)
    expected = [Gap("1-a", "7-b", "expired"), Gap("", "", ""), Gap("", "", "null"), Bye("draining"), Bye("")]
    assert found == [*expected, Cursor("9-d")]
    assert isinstance(found[0], Gap)
    assert found[0].more == {"history_changed_at": 5}


# -- redirects


def test_a_permanent_redirect_is_kept_and_another_one_counts_once(kind: str) -> None:
    moved = answer(301, Location="/new/stream?channel=c")
    onward = answer(308, Location="newer?channel=c")
    for_now = answer(307, Location="/elsewhere?channel=c")
    after = answer(301, Location="/last?channel=c")
    with Server([moved, onward, for_now, after, GOOD, GOOD, STOP]) as server:
        both.listen(kind, server.url)
    asked = [one.target.partition("?")[0] for one in server.asked]
    # a permanent redirect behind a temporary one is not kept
    assert asked == ["/api/v1/stream", "/new/stream", "/new/newer", "/elsewhere", "/last", "/new/newer", "/new/newer"]


def test_the_credential_goes_to_no_other_host(kind: str) -> None:
    with Server([GOOD]) as other, Server([answer(301, Location=f"{other.url}/x")]) as server:
        client = {"token": "secret", "headers": {"X-Mine": "1"}}
        assert both.listen(kind, server.url, 1, client=client) == [X]
        assert server.asked[0].headers["authorization"] == "Bearer secret"
        assert not {"authorization", "x-mine"} & other.asked[0].headers.keys()
        other.answers = [answer(401)]
        with pytest.raises(RefusedError, match="the credential was not sent"):
            both.listen(kind, server.url, 1, client=client)


# -- when to come back


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("1", 1),
        (formatdate(1000, usegmt=True), 40),  # a minute after its own Date, less twenty seconds
        ("Thu, 01 Jan 1970 00:16:40 +0000", 40),
        ("Thursday, 01-Jan-70 00:16:40 GMT", 40),
        ("999999", 300),
        ("9" * 500, 300),
        (formatdate(10**10, usegmt=True), 300),
        ("-5", 0),
        ("soon", 0),
        ("Mon, 99 Foo", 0),
        ("", 0),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_as_seconds_or_as_a_date_and_bounded(status: int, said: str, seconds: float) -> None:
    headers = {"retry-after": said, "date": formatdate(960, usegmt=True)}
    waiting = sse_client.subscription.Subscription("http://h", ["c"])
    step = waiting.answered(sse_client.exchange.Answer(status, headers), can_refresh=False)
    assert isinstance(step, Again)
    assert seconds <= step.seconds <= seconds + 0.02


def test_the_wait_doubles_is_spread_and_bounded_and_begins_anew_after_an_event() -> None:
    waiting = sse_client.subscription.Subscription("http://h", ["c"])
    waits = [waiting.ended("cut").seconds for _ in range(20)]
    assert all(0.1 * 2**n / 2 <= wait <= 0.1 * 2**n for n, wait in enumerate(waits[:9], 1))
    assert max(waits) <= 60
    assert len(set(waits)) == len(waits)
    waiting.opens(sse_client.exchange.Answer(200, {"content-type": "text/event-stream"}))
    list(waiting.feed(b"retry: 4000000000000\nid: 1\n\n"))
    assert waiting.ended("cut").seconds == 300
    list(waiting.feed(b"retry: 0\n\n"))
    assert waiting.ended("cut").seconds == 0.1  # nothing came: not at once
    list(waiting.feed(b"id: 2\n\n"))
    assert waiting.ended("cut").seconds == 0


# -- credentials


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_token_that_is_made_is_asked_for_once_more_after_401(kind: str, *, asynchronous: bool) -> None:
    made = iter(["old", "new", "newest"])

    def token() -> Any:
        async def later() -> str:
            return next(made)

        return later() if asynchronous and kind == "async" else next(made)

    refused = answer(401, '{"detail": "expired"}', "application/problem+json")
    with Server([refused, GOOD, refused, refused]) as server, pytest.raises(RefusedError, match="401: expired"):
        both.listen(kind, server.url, client={"token": token})
    assert [one.headers["authorization"][7:] for one in server.asked] == ["old", "new", "new", "newest"]
    made = iter(["old", "new"])
    stored = answer(202, '{"ids": ["1-a"]}', "application/json")
    with Server([refused, stored]) as server:
        assert both.ask(kind, server.url, "publish", "c", 1, client={"token": token}) == "1-a"
    assert len({one.headers["idempotency-key"] for one in server.asked}) == 1


def test_a_token_that_is_made_is_kept_until_it_does_not_count() -> None:
    made = iter(["old", "new"])
    refused = answer(401, '{"detail": "expired"}', "application/problem+json")
    stored = answer(202, '{"ids": ["1-a"]}', "application/json")
    with (
        Server([stored, stored, refused, stored, stored]) as server,
        sse_client.Client(server.url, token=lambda: next(made)) as client,
    ):
        for _ in range(4):
            client.publish("c", 1)
    assert [one.headers["authorization"][7:] for one in server.asked] == ["old", "old", "old", "new", "new"]


@pytest.mark.parametrize(
    "headers", [{"X": "geheim\nY: 1"}, {"X": "geheim\0"}, {"X Y": "geheim"}, {"": "geheim"}, {"\u00e9": "geheim"}]
)
def test_a_header_that_nobody_can_send_is_refused_and_not_shown(kind: str, headers: dict[str, str]) -> None:
    with Server([STORED]) as server:
        with pytest.raises(ValueError, match=r"headers: found '.*expected the name of a header") as refused:
            both.ask(kind, server.url, "publish", "c", 1, client={"headers": headers})
        assert "geheim" not in str(refused.value)
        assert both.ask(kind, server.url, "publish", "c", 1, client={"headers": {"X-Mine": "\u00e9\u20ac"}}) == "1-a"
    assert [one.headers["x-mine"] for one in server.asked] == ["\u00e9\u20ac"]


@pytest.mark.parametrize("token", ["a b", "a\nb", "\u00e9", "\r\nX: 1"])
def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(kind: str, token: str) -> None:
    with Server([GOOD]) as server:
        with pytest.raises(ValueError, match="token: expected visible ASCII") as refused:
            both.listen(kind, server.url, client={"token": f"geheim{token}geheim"})
        assert "geheim" not in str(refused.value)
        assert both.listen(kind, server.url, 1, client={"token": "from-a-file\n"}) == [X]
    assert [one.headers["authorization"] for one in server.asked] == ["Bearer from-a-file"]


def test_a_certificate_that_is_not_trusted_is_said_at_once(kind: str, tls: Certificate) -> None:
    with Server([GOOD], tls=tls.server) as server:
        with pytest.raises(UnreachableError, match=r"localhost is not trusted: self.signed"):
            both.listen(kind, server.url)
        assert both.listen(kind, server.url, 1, client={"tls": tls.trusted}) == [X]


# -- publishes and questions


STORED = answer(202, '{"ids": ["1-a"]}', "application/json")
UNKNOWN = answer(503, '{"status": 503, "outcome": "unknown"}', "application/problem+json")
PAUSED = answer(503, '{"status": 503, "title": "paused"}', "application/problem+json", Retry_After="0")


@pytest.mark.parametrize(
    "first",
    [
        UNKNOWN,
        PAUSED,
        answer(429, Retry_After="0"),
        answer(502, PAGE, "text/html"),
        answer(500, "x"),
        [],
        STORED[:1][0][:40:],
    ],
    ids=["unknown", "paused", "429", "a page with 502", "500", "no answer", "cut"],
)
def test_a_publish_is_repeated_with_its_key(kind: str, first: Any) -> None:
    given = [first] if isinstance(first, bytes) else first
    with Server([given, given, STORED]) as server:
        assert both.ask(kind, server.url, "publish", "c", {"n": "é"}, event="e") == "1-a"
    assert len({one.headers["idempotency-key"] for one in server.asked}) == 1
    assert {one.body for one in server.asked} == {'[{"channel":"c","data":{"n":"é"},"event":"e"}]'.encode()}
    assert len(server.asked) == 3


@pytest.mark.parametrize("name", ["publish", "history", "ticket"])
@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (answer(200, PAGE, "text/html"), "text/html.*Sign in"),
        (answer(202, PAGE, "application/json"), "Sign in"),
        (answer(202, "[1, 2]", "application/json"), r"\[1, 2\]"),
        (answer(202, '{"other": 1}', "application/json"), "other"),
        (answer(202, "[" * 100_000, "application/json"), r"\[\["),
        (answer(202, "", "application/json"), "status 202"),
        (answer(204), "status 204"),
    ],
)
def test_a_page_instead_of_json_is_a_named_error(kind: str, name: str, given: list[bytes], shown: str) -> None:
    words = {"publish": ("c", 1), "history": ("c",), "ticket": ()}[name]
    with Server([given]) as server, pytest.raises(UnexpectedAnswerError, match=shown):
        both.ask(kind, server.url, name, *words)
    assert len(server.asked) == 1


def test_a_ticket_without_end_is_a_named_error(kind: str) -> None:
    given = answer(200, '{"ticket": "t", "begins_until": 1, "expires": 1e400}', "application/json")
    with Server([given]) as server, pytest.raises(UnexpectedAnswerError, match="Infinity"):
        both.ask(kind, server.url, "ticket")


@pytest.mark.parametrize(
    ("method", "words", "how", "said"),
    [
        ("ticket", (), {"subscribe": "orders.*"}, "subscribe: found 'orders.*'; expected a list"),  # "*" is everything
        ("ticket", (), {"publish": "orders.1"}, "publish: found 'orders.1'; expected a list"),
        ("ticket", (), {"ttl": 60}, "ttl: it goes with the rights"),  # a body without rights is a ticket for nothing
        ("publish", ("c", 1), {"key": ""}, "key: found ''; expected 1 to 200"),  # it would be another key each time
    ],
)
def test_what_would_mean_another_thing_is_refused_and_not_sent(
    kind: str, method: str, words: tuple[Any, ...], how: dict[str, Any], said: str
) -> None:
    with Server([]) as server, pytest.raises(ValueError, match=re.escape(said)):
        both.ask(kind, server.url, method, *words, **how)
    assert not server.asked


def test_a_publish_that_is_sent_on_takes_its_body_and_key_along(kind: str) -> None:
    with Server([answer(301, Location="/a"), answer(308, Location="/b"), STORED]) as server:
        assert both.ask(kind, server.url, "publish", "c", 1, key="mine") == "1-a"
    assert [(one.method, one.target, one.headers["idempotency-key"]) for one in server.asked] == [
        ("POST", "/api/v1/events", "mine"),
        ("POST", "/a", "mine"),
        ("POST", "/b", "mine"),
    ]
    assert {one.body for one in server.asked} == {b'[{"channel":"c","data":1}]'}


def test_the_end_of_the_time_says_whether_something_may_be_stored(kind: str) -> None:
    with Server([UNKNOWN]) as server, pytest.raises(OutcomeUnknownError, match="key='mine'") as unknown:
        both.ask(kind, server.url, "publish", "c", 1, key="mine", seconds=3)
    assert unknown.value.key == "mine"
    long = answer(503, '{"status": 503, "title": "paused"}', "application/problem+json", Retry_After="300")
    with Server([long]) as server, pytest.raises(RefusedError, match="503: paused"):
        both.ask(kind, server.url, "publish", "c", 1, seconds=60)  # and this ends at once
    assert len(server.asked) == 1
    with Server([]) as server:
        server.answers = [lambda _: server.hold()]
        with pytest.raises(OutcomeUnknownError):
            both.ask(kind, server.url, "publish", "c", 1, seconds=3)
    with socket.socket() as nobody, contextlib.ExitStack() as stack:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(UnreachableError, match="gave no answer"):
            both.ask(kind, url, "publish", "c", 1, seconds=0.5)
        nobody.listen(0)
        for _ in range(4):  # more than wait there: the kernel answers no other one
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(nobody.getsockname())
        with pytest.raises(UnreachableError, match="gave no answer"):
            both.ask(kind, url, "publish", "c", 1, seconds=0.5)


def test_an_answer_that_comes_a_byte_at_a_time_does_not_outlast_the_time(kind: str) -> None:
    def dribble(_: Asked) -> Iterable[bytes]:
        for one in STORED[0]:
            yield bytes([one])
            time.sleep(0.05)

    with Server([dribble]) as server, pytest.raises(OutcomeUnknownError):
        both.ask(kind, server.url, "publish", "c", 1, seconds=0.4)


ENDLESS: list[Any] = []
for _ in range(100_000):
    ENDLESS = [ENDLESS]
WRONG: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], str]] = {
    "key": ("publish", ("c", 1), {"key": "a b"}, "key: found 'a b'"),
    "key with a line": ("publish", ("c", 1), {"key": "a\r\nX: 1"}, "visible ASCII"),
    "no events": ("publish_batch", ([],), {}, "at least one"),
    "no JSON": ("publish", ("c", {1, 2}), {}, "what JSON can express"),
    "NaN": ("publish", ("c", float("nan")), {}, "JSON compliant"),
    "half a pair": ("publish", ("c", "\ud800"), {}, "surrogate"),
    "no time": ("publish", ("c", 1), {"seconds": 0}, "seconds: found 0; expected more than 0"),
    "no number": ("history", ("c",), {"seconds": float("nan")}, "seconds: found nan"),
    "one event for a list": ("publish_batch", ({"channel": "c", "data": 1},), {}, "found one; expected a list"),
    "nested without end": ("publish", ("c", ENDLESS), {}, "what JSON can express"),
    "both ways": ("history", ("c",), {"before": "1-a", "after": "2-b"}, "cannot be combined"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_right_is_refused_before_anything_is_sent(kind: str, name: str) -> None:
    method, words, how, shown = WRONG[name]
    with Server([STORED]) as server, pytest.raises(ValueError, match=shown):
        both.ask(kind, server.url, method, *words, **how)
    assert server.asked == []


@pytest.mark.parametrize(
    ("how", "shown"),
    [
        ({"channels": ()}, "channels: at least one"),
        ({"channels": (None,)}, "channels: found None; expected texts"),  # it would be the channel "None"
        ({"channels": (["a", "b"],)}, "expected texts"),
        ({"last": 3, "from_earliest": True}, "two starting points"),
        ({"last": 3, "last_event_id": "1-a"}, "cannot be combined with last_event_id"),
        ({"last": -1}, "last: found -1"),
        ({"last_event_id": "1\n2"}, "line end"),
    ],
)
def test_a_stream_that_cannot_be_meant_is_refused(kind: str, how: dict[str, Any], shown: str) -> None:
    with Server([GOOD]) as server, pytest.raises(ValueError, match=shown):
        both.listen(kind, server.url, **how)
    assert server.asked == []


@pytest.mark.parametrize(
    "url",
    [
        *("sse.example.org", "ftp://h", "http://", "http://h:99999", "http://h/?a=1", "http://u:secret@h", "http://é"),
        *("http://a..b", f"http://{'a' * 64}"),
    ],
)
def test_an_address_that_cannot_be_one_is_refused_and_shows_no_password(kind: str, url: str) -> None:
    with pytest.raises(ValueError, match="url: ") as refused:
        both.ask(kind, url, "publish", "c", 1)
    assert "secret" not in str(refused.value)


def test_a_starting_point_is_asked_for_until_there_is_a_cursor(kind: str) -> None:
    with Server([stream("retry: 10\n\n"), GOOD, STOP]) as server:
        both.listen(kind, server.url, channels=("a b", "d.*"), last=10)
    assert [one.target for one in server.asked] == [
        *["/api/v1/stream?channel=a+b&channel=d.%2A&last=10"] * 2,
        "/api/v1/stream?channel=a+b&channel=d.%2A",
    ]


def test_more_names_than_an_address_can_hold_are_asked_for_by_post(kind: str) -> None:
    names = [f"c{n}" + "x" * 190 for n in range(99)]
    with Server([stream("retry: 10\n\n"), GOOD, STOP]) as server:
        both.listen(kind, server.url, channels=(*names, "a+b é"), last=10, ticket="t=1", meta=True)
    assert {(one.method, one.target) for one in server.asked} == {("POST", "/api/v1/stream?ticket=t%3D1")}
    assert {one.headers["content-type"] for one in server.asked} == {"application/json"}
    asked = {"meta": "1", "channel": [*names, "a+b é"]}
    assert [json.loads(one.body) for one in server.asked] == [{**asked, "last": "10"}, {**asked, "last": "10"}, asked]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, None, "2-b"]


def test_a_batch_may_come_from_a_generator(kind: str) -> None:
    with Server([answer(202, '{"ids": ["1-a", "2-b"]}', "application/json")]) as server:
        given = ({"channel": "c", "data": n} for n in range(2))
        assert both.ask(kind, server.url, "publish_batch", given) == ["1-a", "2-b"]
    assert [json.loads(one.body) for one in server.asked] == [[{"channel": "c", "data": n} for n in range(2)]]


def test_who_stops_waiting_for_an_event_ends_no_stream() -> None:
    async def run(url: str, comes: threading.Event) -> list[Any]:
        found: list[Any] = []
        async with sse_client.AsyncClient(url) as client, client.stream("c") as events:
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(anext(events), 0.05)
            comes.set()
            found.append(await asyncio.wait_for(anext(events), both.LIMIT_SECONDS))
            found.extend([one async for one in events])
        return found

    comes = threading.Event()

    def late(_: Asked) -> Iterable[bytes]:
        yield from stream("retry: 10\nid: 1-a\n\n")
        comes.wait(both.LIMIT_SECONDS)
        yield b"data: x\nid: 2-b\n\ndata: y\nid: 3-c\n\n"

    with Server([late, STOP]) as server:
        assert asyncio.run(run(server.url, comes)) == [X, Message("message", "y", "3-c")]
    assert [one.headers.get("last-event-id") for one in server.asked] == [None, "3-c"]  # one connection, and the end


PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
FORKS = """
import os, sys, sse_client
client = sse_client.Client(sys.argv[1])
client.publish("c", 1)
if not (child := os.fork()):
    os._exit(0 if client.publish("c", 2) == "1-a" else 1)
ended = os.waitpid(child, 0)[1]
client.publish("c", 3)
sys.exit(ended)
"""


def test_a_fork_takes_no_connection_of_its_parent() -> None:
    kept = [b"HTTP/1.1 202 X\r\nContent-Length: 16\r\n\r\n" + b'{"ids": ["1-a"]}']
    with Server([kept], keeps=True) as server:  # in a program of its own, which has one thread
        subprocess.run([sys.executable, "-c", FORKS, server.url], check=True, timeout=both.LIMIT_SECONDS, env=PATHS)
        assert (len(server.asked), server.connections) == (3, 2)


def test_a_time_that_ended_before_anything_was_sent_leaves_nothing_unknown() -> None:
    made = sse_client.call.publish("http://h/api/v1", [{"channel": "c", "data": 1}], "mine", "")
    assert isinstance(made.expired(), UnreachableError)
    made.failed("no connection", sent=False)
    assert isinstance(made.expired(), UnreachableError)
    made.failed("cut", sent=True)
    assert isinstance(made.expired(), OutcomeUnknownError)


def test_pages_go_back_to_the_first_event_or_forward_to_the_last() -> None:
    def held(request: Asked) -> Iterable[bytes]:
        query = dict(one.split("=") for one in request.target.partition("?")[2].split("&"))
        numbers = [n for n in range(1, 6) if n < int(query.get("before", 9)) and n > int(query.get("after", 0))]
        limit = int(query["limit"])
        numbers = numbers[:limit] if "after" in query else numbers[-limit:]
        events = [{"id": str(n), "event": "message", "data": f"d{n}", "new": 1} for n in numbers]
        found: dict[str, Any] = {"events": events, "cursor": "5"}
        if numbers and "after" not in query:
            found["before"] = str(numbers[0])
        return answer(200, json.dumps(found), "application/json")

    for kind in both.KINDS:
        with Server([held]) as server:
            assert both.ask(kind, server.url, "history", "c", limit=2).cursor == "5"
    with Server([held]) as server, sse_client.Client(server.url) as client:
        back = [[one.id for one in page.events] for page in client.pages("c", limit=2)]
        assert back == [["4", "5"], ["2", "3"], ["1"]]
        forth = [[one.id for one in page.events] for page in client.pages("c", limit=2, after="1")]
        assert forth == [["2", "3"], ["4", "5"]]


def test_pages_go_on_after_an_empty_one_and_tell_a_gap() -> None:
    one = {"events": [{"id": "1", "event": "message", "data": "x"}], "cursor": "9"}
    for direction in ("before", "after"):
        for kind in both.KINDS:
            empty = answer(200, json.dumps({"events": [], "cursor": "9", direction: "5"}), "application/json")
            full = answer(200, json.dumps(one), "application/json")
            with Server([empty, full, answer(200, '{"events": []}', "application/json")]) as server:
                given = {"after": "2"} if direction == "after" else {}
                found = both.pages(kind, server.url, "c", **given)
                assert [event.id for page in found for event in page.events] == ["1"]
            assert f"{direction}=5" in server.asked[1].target
    gap = answer(200, json.dumps({**one, "gap": {"requested": "0-x", "reason": "truncated"}}), "application/json")
    with Server([gap]) as server, sse_client.Client(server.url) as client:
        assert client.history("c", after="0-x").gap == "truncated"


def test_a_proxy_of_the_environment_is_asked_and_odd_ones_are_no_error(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "no_proxy", "all_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with Server([GOOD]) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:geheim@"))
        monkeypatch.setenv("no_proxy", "::1/128, *.internal,,[fe80::]")
        monkeypatch.setenv("all_proxy", "socks5h://odd:1")
        assert both.listen(kind, "http://sse.invalid", 1) == [X]
        assert proxy.asked[0].target == "http://sse.invalid/api/v1/stream?channel=c"
        assert proxy.asked[0].headers["proxy-authorization"].startswith("Basic ")


@pytest.mark.parametrize(
    ("host", "listed", "direct"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "localhost,10.1.0.0/16 ,.example.org", True),
        ("10.1.2.3", "10.1.2.9/24", True),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("fd00::5", "10.0.0.0/8,[fd00::]/8,fd00::/8", True),
        ("fd00::5", "[fd00::5]", True),
        ("a.example.org", "*.example.org", True),
        ("A.example.org", "x *.Example.org", True),
        ("a.example.org", "b example.org", True),
        ("aexample.org", "*.example.org", False),
        ("a.example.org", "*.b.example.org,10.0.0.0/8,/,.,*.", False),
    ],
)
def test_no_proxy_names_networks_and_domains_as_others_read_them(
    monkeypatch: pytest.MonkeyPatch, host: str, listed: str, *, direct: bool
) -> None:
    for name in ("http_proxy", "no_proxy", "all_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", listed)
    assert sse_client.wire.proxy_of("http", host) == ("" if direct else "http://proxy:3128")


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 16\r\n\r\n%b", b"Transfer-Encoding: chunked\r\n\r\n10\r\n%b\r\n0\r\n\r\n"]
)
def test_one_connection_carries_one_request_after_the_other(kind: str, framing: bytes) -> None:
    said = b"HTTP/1.1 202 X\r\n" + framing % b'{"ids": ["1-a"]}'
    with Server([[said]], keeps=True) as server:
        assert both.publishes(kind, server.url, 5) == ["1-a"] * 5
    assert (len(server.asked), server.connections) == (5, 1)  # no attempt has failed


def test_idle_connections_are_used_again_and_threads_share_a_client() -> None:
    accepted: list[int] = []

    def twice(_: Asked) -> Iterable[bytes]:
        accepted.append(1)
        return [b"HTTP/1.1 202 X\r\nContent-Length: 16\r\n\r\n" + b'{"ids": ["1-a"]}']

    with Server([twice]) as server, sse_client.Client(server.url) as client:
        threads = [threading.Thread(target=client.publish, args=("c", n)) for n in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join(both.LIMIT_SECONDS)
        # the server ends each connection although it said nothing of it, so a later publish meets one that is dead
        assert client.publish("c", 9) == "1-a"
    assert len(accepted) >= 9


@pytest.mark.parametrize("encrypted", [False, True], ids=["HTTP", "HTTPS"])
def test_a_stream_begins_at_once_where_an_idle_connection_was_closed(tls: Certificate, *, encrypted: bool) -> None:
    kept = [b"HTTP/1.1 202 X\r\nContent-Length: 16\r\n\r\n" + b'{"ids": ["1-a"]}']
    waits: list[Again] = []
    server = Server([kept, GOOD], tls=tls.server if encrypted else None)
    with server, sse_client.Client(server.url, tls=tls.trusted) as client:
        client.publish("c", 1)
        time.sleep(0.1)  # until the end of the connection has come
        with client.stream("c", on_wait=waits.append) as stream:
            assert next(stream) == X
    assert not waits


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_no_time_of_silence_is_refused_before_anything_is_sent(kind: str, seconds: float) -> None:
    with Server([GOOD]) as server:
        with pytest.raises(ValueError, match="silence_seconds: found"):
            both.listen(kind, server.url, 1, silence_seconds=seconds)
        assert not server.asked
        assert both.listen(kind, server.url, 1, silence_seconds=float("inf")) == [X]
