"""Every line of "Exact shapes" of the design: what clients and checks rely on."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import pytest
from sse_harness import Client, Replicas, Stream, eventually

from sse_app.base import settings
from sse_app.log.cursor import Cursor
from sse_app.log.embedded import EmbeddedLog

FIRST = ["retry", "event", "data", "id"]


def names(block: Any) -> list[str]:
    return [name for name, _ in block.fields]


@pytest.mark.parametrize(
    ("published", "count"), [({"channel": "shapes", "event": "created", "data": {"n": 1}}, 1), ([{"channel": "shapes",
    "data": 1}], 1), ([{"channel": "shapes", "data": n} for n in range(3)], 3)],
)  # fmt: skip
def test_a_publish_is_answered_by_202_and_nothing_but_ids(replica: Replicas, published: Any, count: int) -> None:
    answer = replica.post(published)
    assert answer.status == 202
    assert answer.json.keys() == {"ids"}
    assert len(answer.json["ids"]) == count
    assert all(Cursor.parse(id_) for id_ in answer.json["ids"])


@pytest.mark.parametrize(
    ("data", "read"),
    [
        ("as it is", "as it is"), ("", ""), (" {\n}", " {\n}"), ('"quoted"', '"quoted"'),
        ({"n": 1, "é": [None, True, 1.5]}, '{"n":1,"é":[null,true,1.5]}'), (None, "null"), (7, "7"), ([], "[]"),
    ],
)  # fmt: skip
def test_a_string_goes_out_as_it_is_and_anything_else_as_compact_json(
    replica: Replicas, channel: str, data: Any, read: str
) -> None:
    with replica.stream(channel) as stream:
        stream.block()
        replica.publish({"channel": channel, "data": data})
        [block] = stream.events(1)
        assert (block.event, block.data) == ("message", read)
        assert "event" not in names(block)


def test_a_stream_begins_with_retry_and_cursor_and_has_frames_of_event_data_id(replica: Replicas, channel: str) -> None:
    with replica.stream([channel, "stock.*"]) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert names(stream.block()) == FIRST
        ids = replica.publish({"channel": channel, "event": "e", "data": 1}, {"channel": "stock.eu", "data": 2})
        blocks = stream.events(2)
        assert [names(block) for block in blocks] == [["event", "data", "id"], ["data", "id"]]
        assert [block.id for block in blocks] == ids


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*", "application/json"])
def test_a_stream_is_an_event_stream_whatever_is_accepted(replica: Replicas, accept: str) -> None:
    with Client(replica.port) as client:
        client.send(f"GET /api/v1/stream?channel=a HTTP/1.1\nHost: x\nAccept: {accept}")
        assert client.head().headers["content-type"] == "text/event-stream; charset=utf-8"


def test_heartbeats_are_of_the_kind_that_was_asked_for_and_advance_a_quiet_cursor_unless_comments(channel: str) -> None:
    kinds = ({}, {"heartbeat": "id"}, {"heartbeat": "event"}, {"heartbeat": "comment"})
    with Replicas(heartbeat_seconds=1) as replica, ExitStack() as stack:
        streams = [stack.enter_context(replica.stream("quiet", **kind)) for kind in kinds]
        for stream in streams:
            stream.block()
        [id_] = replica.publish({"channel": channel, "data": 1})
        beats = [stream.block() for stream in streams[:3]]
        assert [(names(beat), beat.id) for beat in beats] == [
            (["event", "data", "id"], id_),
            (["id"], id_),
            (["event", "data", "id"], id_),
        ]
        assert [(beat.event, beat.data) for beat in beats[::2]] == [("cursor", "{}")] * 2
        assert streams[3].chunk() == b":\n\n"


def gap(replica: Replicas, cursor: str) -> Any:
    with replica.stream("shapes", cursor) as stream:
        block = stream.block()
        assert block.event == "gap"
        return block.json


def test_a_gap_says_what_was_requested_where_it_goes_on_and_why() -> None:
    with Replicas(ring_events=10) as replica:
        old, *_, newest = replica.publish(*({"channel": "shapes", "data": n} for n in range(30)))
        replica.call(lambda: replica.log.trim(15))
        for cursor, reason in ((old, "expired"), ("999-00000000", "truncated"), ("nonsense", "malformed")):
            assert gap(replica, cursor) == {"requested": cursor, "resumed_from": newest, "reason": reason}


@pytest.mark.parametrize("reason", ["draining", "expired", "revoked"])
def test_a_bye_says_why_before_the_server_closes_the_stream(replica: Replicas, channel: str, reason: str) -> None:
    with replica.stream(channel) as stream:
        stream.block()
        mine = [one for one in replica.service.hub.streams if channel in one.wanted.exact]
        replica.call(lambda: [one.end(reason) for one in mine])
        block = stream.block()
        assert (names(block), block.event) == (["retry", "event", "data", "id"], "bye")
        assert block.json == {"reason": reason}
        assert stream.block() is None


class _Kafka(EmbeddedLog):
    kind = "kafka"


def test_health_is_200_or_503_with_a_status_and_checks() -> None:
    prefixes = ("/api/v1/health", "/health")
    with Replicas(log=_Kafka(1000)) as replica:
        for prefix in prefixes:
            live, ready = replica.get(f"{prefix}/live"), replica.get(f"{prefix}/ready")
            assert (live.status, live.json) == (200, {"status": "ok", "checks": {}})
            assert (ready.status, ready.json) == (200, {"status": "ok", "checks": {"kafka": "ok", "redis": "disabled"}})
        replica.log.available = False
        eventually(lambda: replica.get("/health/ready").status == 503)
        for prefix in prefixes:
            assert replica.get(f"{prefix}/ready").json.keys() == {"status", "checks"}
            assert replica.get(f"{prefix}/live").status == 200


@pytest.mark.parametrize(
    "request_",
    [
        "GET /api/v1/stream?channel=a HTTP/1.1", "HEAD /api/v1/stream?channel=a HTTP/1.1",
        "GET /api/v1/stream HTTP/1.1",
        "GET /api/v1/stream?channel=a HTTP/1.0", "GET /api/v1/stats HTTP/1.1", "GET /api/v1/stats/stream HTTP/1.1",
        "GET /health/live HTTP/1.1", "GET /metrics HTTP/1.1", "GET /docs HTTP/1.1", "GET /nothing HTTP/1.1",
        "PUT /api/v1/events HTTP/1.1", "POST /api/v1/events HTTP/1.1", "nonsense",
    ],
)  # fmt: skip
def test_every_response_says_which_replica_gave_it(replica: Replicas, request_: str) -> None:
    with Client(replica.port) as client:
        client.send(f"{request_}\nHost: x")
        assert client.head().headers["x-replica"] == "replica-1"


@pytest.mark.parametrize("name", ["a", "A9._:/-", "x" * 200, "...", "a/b:c", "-"])
def test_a_channel_is_1_to_200_of_these_characters(replica: Replicas, name: str) -> None:
    with replica.stream(name) as stream:
        stream.block()
        replica.publish({"channel": name, "data": name})
        assert stream.events(1)[0].data == name


@pytest.mark.parametrize(
    ("pattern", "matches", "others"),
    [("p.*", ["p.a", "p.a.b", "p."], ["p", "pa", "q.p.a"]), ("*", ["p", "q.r", "/"], [])],
)
def test_a_trailing_dot_star_or_a_lone_star_is_a_pattern(
    replica: Replicas, pattern: str, matches: list[str], others: list[str]
) -> None:
    with replica.stream(pattern) as stream:
        stream.block()
        replica.publish(*({"channel": name, "data": name} for name in [*others, *matches]))
        assert [block.data for block in stream.events(len(matches))] == matches


@pytest.mark.parametrize(
    "field", ["max_body_bytes", "max_channels_per_stream", "heartbeat_seconds", "retention_seconds"]
)
def test_limits_are_set_by_environment_and_have_defaults(field: str) -> None:
    default = getattr(settings.load({}), field)
    changed = settings.load({f"SSE_{field.upper()}": str(default * 2)})
    assert getattr(changed, field) == default * 2


def test_limits_are_held(replica: Replicas) -> None:
    assert replica.post({"channel": "a", "data": "x" * 20_000}).status == 413
    with Stream(replica.port, ["a"] * 6) as stream:
        assert stream.status == 400
