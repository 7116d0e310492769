from __future__ import annotations

import pytest
from sse_harness import Client, Replicas, eventually, fetch

from sse_app.base import names
from sse_app.log.cursor import Cursor


def accepted(replica: Replicas) -> int:
    return replica.service.metrics.publishes["accepted"]


def test_an_accepted_event_has_an_id_and_is_in_the_log_and_read_back(replica: Replicas, channel: str) -> None:
    answer = replica.post({"channel": channel, "event": "created", "data": {"n": 1}})
    assert answer.status == 202
    [id_] = answer.json["ids"]
    cursor = Cursor.parse(id_)
    assert cursor is not None
    held = replica.service.hub.ring.at(cursor.offset)
    assert held is not None
    assert held.frame == b'event: created\ndata: {"n":1}\nid: %b\n\n' % id_.encode()
    assert answer.headers["x-replica"] == "replica-1"


def test_a_batch_gets_consecutive_offsets_in_its_order(replica: Replicas, channel: str) -> None:
    offsets = [int(id_.split("-")[0]) for id_ in replica.publish(*({"channel": channel, "data": n} for n in range(5)))]
    assert offsets == list(range(offsets[0], offsets[0] + 5))


def test_the_same_key_stores_one_event_and_answers_its_id(replica: Replicas, channel: str) -> None:
    with replica.stream(channel) as stream:
        first = replica.post({"channel": channel, "data": 1}, idempotency_key=channel)
        again = replica.post({"channel": channel, "data": 1}, idempotency_key=channel)
        replica.publish({"channel": channel, "data": "last"})
        assert first.json == again.json
        assert first.headers["idempotency-key"] == channel
        assert [block.data for block in stream.events(2)] == ["1", "last"]


def test_the_request_id_of_a_proxy_is_a_key_too_but_the_clients_own_wins(replica: Replicas, channel: str) -> None:
    event = {"channel": channel, "data": 1}
    first = replica.post(event, x_request_id=channel)
    assert first.json == replica.post(event, x_request_id=channel).json
    assert first.json != replica.post(event, x_request_id=channel, idempotency_key=channel + "2").json


def test_the_same_key_with_another_body_is_refused(replica: Replicas, channel: str) -> None:
    assert replica.post({"channel": channel, "data": 1}, idempotency_key=channel).status == 202
    other = replica.post({"channel": channel, "data": 2}, idempotency_key=channel)
    assert (other.status, other.headers["content-type"]) == (422, "application/problem+json")


def test_an_error_of_ours_is_a_problem_and_in_the_log_and_the_next_publish_is_taken(
    replica: Replicas, channel: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(replica.service.publisher, "publish", lambda *_, **__: 1 / 0)
        answer = replica.post({"channel": channel, "data": 1}, x_request_id=channel)
    assert (answer.status, answer.headers["content-type"]) == (500, "application/problem+json")
    assert (answer.json["request_id"], "division" in answer.json["detail"]) == (channel, False)
    eventually(lambda: "division by zero" in caplog.text)
    assert replica.post({"channel": channel, "data": 1}).status == 202


@pytest.mark.parametrize("query", ["a=%41&" * 1300, "&" * 5000, "ticket=" + "%41" * 2600, "ticket=x&" * 10])
def test_a_query_that_is_no_ticket_is_refused_before_it_is_parsed(
    replica: Replicas, monkeypatch: pytest.MonkeyPatch, query: str
) -> None:
    """Nobody pays for it, with or without a credential: a third of what NGINX lets pass made honest publishes wait."""

    def parse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(names, "query", parse)
    answer = fetch(f"http://127.0.0.1:{replica.port}/api/v1/events?{query}", b'{"channel": "a", "data": 1}', {})
    assert (answer.status, "the query is too long" in answer.json["detail"]) == (400, True)


def test_a_publisher_that_goes_away_within_its_body_leaves_no_error(
    replica: Replicas, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(replica.port) as client:
        client.send("POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: 100", b"{")
    assert replica.get("/health/live").status == 200
    eventually(lambda: len(replica._servers[0].server_state.connections) <= 1)
    assert not caplog.records


def test_a_log_that_is_away_gives_503_unknown_and_the_retry_settles_it(channel: str) -> None:
    with Replicas(publish_deadline_seconds=1) as replica, replica.stream(channel) as stream:
        assert replica.get("/health/ready").status == 200
        replica.log.available = False
        answer = replica.post({"channel": channel, "data": 1}, idempotency_key="k")
        assert (answer.status, answer.json["outcome"], answer.headers["retry-after"]) == (503, "unknown", "1")
        eventually(lambda: replica.get("/health/ready").status == 503)
        assert replica.get("/api/v1/health/live").status == 200
        with replica.stream(channel) as other:  # from the ring, while the log is away
            assert other.status == 200
            assert other.block().id is not None
        replica.log.available = True
        eventually(lambda: replica.get("/health/ready").status == 200)
        [id_] = replica.post({"channel": channel, "data": 1}, idempotency_key="k").json["ids"]
        assert stream.events(1)[0].id == id_


def test_more_publishes_than_may_be_in_flight_are_refused_at_once(channel: str) -> None:
    with Replicas(max_publishes=1) as replica:
        replica.call(lambda: setattr(replica.service.publisher, "in_flight", 1))
        assert replica.post({"channel": channel, "data": 1}).json["outcome"] == "unknown"


def test_metrics_history_channels_stats_and_documents_answer(replica: Replicas, channel: str) -> None:
    [first, second] = replica.publish(
        {"channel": channel, "data": "a\nb"}, {"channel": channel, "event": "x", "data": [1]}
    )
    history = replica.get(f"/api/v1/channels/{channel}/history").json
    assert history["events"] == [
        {"id": first, "event": "message", "data": "a\nb"},
        {"id": second, "event": "x", "data": "[1]"},
    ]
    assert replica.get(f"/api/v1/channels/{channel}/history?limit=1").json["events"] == history["events"][1:]
    assert replica.get(f"/api/v1/channels/{channel}/history?limit=0").status == 400
    assert replica.get("/api/v1/channels").json["channels"][channel] == second
    assert replica.get("/api/v1/stats").json["log"] == {"kind": "embedded", "state": "ok", "lag": 0}
    metrics = replica.get("/metrics").body.decode()
    assert f'sse_publishes_total{{outcome="accepted"}} {accepted(replica)}.0' in metrics
    assert "process_resident_memory_bytes" in metrics
    assert "/api/v1/stream" in replica.get("/openapi.json").json["paths"]
    assert replica.get("/docs").status == 200


def test_one_event_is_bounded_by_what_it_takes_of_a_stream(channel: str) -> None:
    """Each line of the data is a field of its own: a body of line ends is seven times itself on the wire."""
    with Replicas(max_event_bytes=2000) as replica, replica.stream(channel) as stream:
        stream.block()
        fits = "x" * (2000 - len("event: message\ndata: "))
        assert replica.post({"channel": channel, "data": fits}).status == 202
        for data in (fits + "x", "\n" * 300, "\r\n" * 300, "\r" * 300, ["\n" * 2000]):
            answer = replica.post([{"channel": channel, "data": 1}, {"channel": channel, "data": data}])
            assert answer.status == 413
            assert "event 1 takes" in answer.json["detail"]
        replica.publish({"channel": channel, "data": "\r\n" * 200})
        assert [len(block.data or "") for block in stream.events(2)] == [len(fits), 200]
        assert replica.service.metrics.publishes["too_large"] == 5


WIDE = b"[" + b"0," * 9_000 + b"0]"
NAMES = b"{" + b",".join(b'"n%d":0' % n for n in range(1_900)) + b"}"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (WIDE, "a batch: expected 1 to 50 events, found 9001"),
        (NAMES, "0.n0: unknown; Known here: channel, data, event"),
        (b"[" + b"{}," * 49 + b"{}]", "0.channel: Field required"),
    ],
)
def test_a_body_of_many_mistakes_is_refused_for_its_first_ten(replica: Replicas, body: bytes, detail: str) -> None:
    """One of 256 KB held the loop for more than a second while every mistake was listed."""
    answer = replica.post(body)
    assert (answer.status, answer.json["detail"]) == (422, detail)
    assert len(answer.json.get("errors", [])) in (0, 10)


def test_a_name_as_long_as_the_body_is_not_sent_back(replica: Replicas) -> None:
    answer = replica.post({"x" * 15_000: 1, "channel": "a", "data": 1})
    assert answer.status == 422
    assert len(answer.body) < 1_000
