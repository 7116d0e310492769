"""What clients of this world send and take: their spellings, their headers, and names that nobody knows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sse_harness import Client, Replicas, Stream, fetch

CHANNELS = [f"{'n' * 196}{n:04}" for n in range(100)]


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/api/v1/stream?channel=a&hartbeat=event", "heartbeat"),
        ("/api/v1/stream?channel=a&LastEventID=1-0123abcd", "lastEventId"),
        ("/api/v1/stream?chanel=a", "channel"),
        ("/api/v1/stream?channel=a&form=earliest", "from"),
        ("/api/v1/channels/a/history?limt=1", "limit"),
        ("/api/v1/channels/a/history?befor=1-0123abcd", "before"),
        ("/api/v1/channels?aftr=x", "after"),
        ("/api/v1/stats?channel=a", ""),
        ("/api/v1/stats/stream?channel=a", ""),
        ("/api/v1/health/live?x", ""),
        ("/metrics?x=1", ""),
        ("/docs?x=1", ""),
        ("/api/v1/?x=1", ""),
    ],
)
def test_an_unknown_parameter_is_refused_with_the_nearest_on_every_route(
    replica: Replicas, path: str, nearest: str
) -> None:
    answer = replica.get(path)
    name = path.partition("?")[2].rpartition("&")[2].partition("=")[0]
    assert answer.status == 400
    said = f"did you mean {nearest}?" if nearest else "this address takes no parameters"
    assert answer.json["detail"].startswith(f"{name}: unknown; {said}")


@pytest.mark.parametrize("path", ["/api/v1/events?chanel=a", "/api/v1/tickets?second=1", "/api/v1/session?x=1"])
def test_an_unknown_parameter_of_a_post_is_refused_and_nothing_happens(replica: Replicas, path: str) -> None:
    end = replica.service.hub.ring.end
    answer = fetch(f"http://127.0.0.1:{replica.port}{path}", b'{"channel":"a","data":1}')
    assert (answer.status, "unknown" in answer.json["detail"]) == (400, True)
    assert replica.service.hub.ring.end == end


@pytest.mark.parametrize(
    ("path", "document", "nearest"),
    [
        ("/api/v1/events", {"chanel": "a", "data": 1}, "channel"),
        ("/api/v1/events", [{"channel": "a", "data": 1, "evnt": "e"}], "event"),
        ("/api/v1/events", [{"channel": "a", "data": 1}, {"channel": "a", "dta": 1}], "data"),
        ("/api/v1/events", {"Channel": "a", "Data": 1}, "channel"),
        ("/api/v1/tickets", {"subscribes": ["a"]}, "subscribe"),
        ("/api/v1/stream", {"channels": ["a"]}, "channel"),
        ("/api/v1/stream", {"channel": ["a"], "lasteventid": "1-0123abcd"}, "lastEventId"),
    ],
)
def test_an_unknown_field_of_a_body_is_refused_with_the_nearest(
    replica: Replicas, path: str, document: Any, nearest: str
) -> None:
    answer = fetch(f"http://127.0.0.1:{replica.port}{path}", json.dumps(document).encode())
    assert answer.status == 422
    assert f"did you mean {nearest}?" in answer.json["detail"]  # which is all that many clients show


@pytest.mark.parametrize(
    ("header", "query", "wins"),
    [
        (None, {"lastEventId": 1}, 1),
        (None, {"last_event_id": 1}, 1),
        (None, {"last_event_id": 3, "lastEventId": 1}, 1),
        (1, {"last_event_id": 3, "lastEventId": 2}, 1),
        ("", {"last_event_id": 1, "lastEventId": ""}, 1),
    ],
)
def test_a_cursor_is_taken_as_real_clients_spell_it_and_the_newest_place_wins(
    replica: Replicas, channel: str, header: Any, query: dict[str, Any], wins: int
) -> None:
    ids = replica.publish(*({"channel": channel, "data": n} for n in range(5)))
    asked = {name: ids[n] if n != "" else "" for name, n in query.items()}
    with replica.stream(channel, ids[header] if isinstance(header, int) else header, **asked) as stream:
        assert stream.block().id == ids[wins]
        assert [block.data for block in stream.events(4 - wins)] == [str(n) for n in range(wins + 1, 5)]


def test_a_cursor_is_known_before_the_first_event_to_clients_that_take_it_from_events_alone(
    replica: Replicas, channel: str
) -> None:
    for kind in ("event", "id", "comment"):
        with replica.stream(channel, heartbeat=kind) as stream:
            opening = stream.block()
        assert (opening.event, opening.data) == ("cursor", "{}")
        [missed] = replica.publish({"channel": channel, "data": kind})
        with replica.stream(channel, opening.id, heartbeat=kind) as again:
            assert again.events(1)[0].id == missed


@pytest.mark.parametrize(("value", "said"), [(1, True), (True, True), ("1", True), (0, False), (False, False)])
def test_a_switch_in_a_body_is_what_json_or_an_address_would_say(replica: Replicas, value: Any, *, said: bool) -> None:
    replica.publish({"channel": "switch", "data": 1})
    with posted(replica, {"channel": "switch", "last": 1, "meta": value}) as stream:
        assert [one.event for one in stream.events(1)] == (["meta"] if said else ["message"])


def posted(replica: Replicas, document: Any) -> Stream:
    """A stream that was asked for by POST."""
    client = Stream.__new__(Stream)
    Client.__init__(client, replica.port)
    body, kind = json.dumps(document).encode(), "Content-Type: application/json"
    client.send(f"POST /api/v1/stream HTTP/1.1\nHost: test\n{kind}\nContent-Length: {len(body)}", body)
    client.status, client.headers, _ = client.head()
    client.whole, client.text, client.last_event_id, client.ended = False, "", "", False
    return client


def test_a_stream_of_a_hundred_long_names_is_asked_for_by_a_body_and_resumes() -> None:
    with Replicas() as replica:
        resumes_by_post(replica)


def resumes_by_post(replica: Replicas) -> None:
    first, second = replica.publish(*({"channel": CHANNELS[99], "data": n} for n in range(2)))
    asked = {"channel": CHANNELS, "last_event_id": first, "meta": True, "heartbeat": "comment"}
    with posted(replica, asked) as stream:
        assert stream.status == 200
        assert stream.block().id == first
        meta, event = stream.events(2)
        assert (meta.event, meta.id, meta.json["channel"]) == ("meta", None, CHANNELS[99])
        assert event.id == second
        [third] = replica.publish({"channel": CHANNELS[0], "data": 3})
        assert stream.events(2)[1].id == third


@pytest.mark.parametrize(
    ("document", "headers", "status", "said"),
    [
        ({"channel": "a"}, "", 415, "application/json"),
        ({"channel": "a"}, "\nContent-Type: text/plain", 415, "application/json"),
        ({"channel": "a"}, "\nContent-Type: application/json\nOrigin: https://evil.example", 403, "origin"),
        ([], "\nContent-Type: application/json", 422, "object"),
        ({"channel": [1]}, "\nContent-Type: application/json", 422, "channel"),
        ({"channel": "a", "meta": 2}, "\nContent-Type: application/json", 422, "meta: expected true, false, 1 or 0"),
        ({"channel": "a", "trace": 0.5}, "\nContent-Type: application/json", 422, "trace: expected true, false, 1"),
        ({"channel": "a", "meta": None}, "\nContent-Type: application/json", 422, "meta: expected true, false, 1"),
        ({"channel": "a", "last": True}, "\nContent-Type: application/json", 422, "last"),
        (b"{", "\nContent-Type: application/json", 400, "JSON"),
        (b" " * 40_000, "\nContent-Type: application/json", 413, "bytes"),
    ],
)
def test_a_body_that_is_no_request_for_a_stream_is_refused(
    replica: Replicas, document: Any, headers: str, status: int, said: str
) -> None:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    with Client(replica.port) as client:
        client.send(f"POST /api/v1/stream HTTP/1.1\nHost: test{headers}\nContent-Length: {len(body)}", body)
        answer = client.answer()
    assert answer.status == status
    assert said in answer.json["detail"]


def test_a_preflight_of_an_allowed_page_gets_the_headers_that_it_asks_for() -> None:
    with Replicas(cors_origins="https://page.example") as replica:
        for origin, status in (("https://page.example", 200), ("https://evil.example", 400)):
            with Client(replica.port) as client:
                client.send(
                    f"OPTIONS /api/v1/stream HTTP/1.1\nHost: x\nOrigin: {origin}\nAccess-Control-Request-Method: GET\n"
                    "Access-Control-Request-Headers: sentry-trace, baggage, cache-control, x-requested-with"
                )
                answer = client.answer()
            assert answer.status == status
            allowed = answer.headers.get("access-control-allow-headers", "")
            if status == 200:
                assert allowed == "sentry-trace, baggage, cache-control, x-requested-with"
            else:
                assert "access-control-allow-origin" not in answer.headers
