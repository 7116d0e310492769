from __future__ import annotations

import json
from typing import Any

import pytest
from sse_harness import Client, Replicas, eventually

from sse_app import ids


def accepted(replica: Replicas) -> int:
    return replica.service.metrics.publishes["accepted"]


def test_an_accepted_event_has_an_id_and_is_in_the_log_and_read_back(replica: Replicas, channel: str) -> None:
    answer = replica.post({"channel": channel, "event": "created", "data": {"n": 1}})
    assert answer.status == 202
    [id_] = answer.json["ids"]
    cursor = ids.parse(id_)
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


def event(**fields: Any) -> bytes:
    return json.dumps({"channel": "bad", "data": 1, **fields}).encode()


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, "not JSON"), (b"{", 400, "not JSON"), (b"\xff\xfe", 400, "not JSON"),
        (b"\xef\xbb\xbf" + event(), 400, "not JSON"),
        (b"[]", 422, "1 to 50"), (b"[" + b",".join([event()] * 51) + b"]", 422, "1 to 50"),
        (b"null", 422, "0"), (b"1", 422, "0"), (b'"x"', 422, "0"), (b"[1]", 422, "0"),
        (b"{}", 422, "channel"), (b'{"channel":"a"}', 422, "data"), (event(chanel="x"), 422, "chanel"),
        (event(id="9-0123abcd"), 422, "id"),
        (event(channel=""), 422, "channel"), (event(channel="a b"), 422, "channel"),
        (event(channel="a.*"), 422, "channel"),
        (event(channel="*"), 422, "channel"), (event(channel="a\n"), 422, "channel"),
        (event(channel="x" * 201), 422, "channel"),
        (event(channel="../a?b"), 422, "channel"), (event(channel=None), 422, "channel"),
        (event(channel=1), 422, "channel"),
        (event(event="a\nb"), 422, "event"), (event(event="a\r"), 422, "event"), (event(event="\0"), 422, "event"),
        (event(event=""), 422, "event"), (event(event="gap"), 422, "event"), (event(event=None), 422, "event"),
        (b'{"channel":"bad","data":NaN}', 400, "NaN"), (b'{"channel":"bad","data":-Infinity}', 400, "Infinity"),
        (b'{"channel":"bad","data":1e999}', 422, "data"), (b'{"channel":"bad","data":"\\ud800"}', 422, "data"),
        (b'{"channel":"bad","data":1,"data":2}', 400, "twice"),
        (b'{"channel":"bad","data":{"a":1,"a":1}}', 400, "twice"),
        (b'{"channel":"bad","data":' + b"[" * 9000 + b"]" * 9000 + b"}", 400, "deep"),
        (b'{"channel":"bad","data":' + b"9" * 5000 + b"}", 400, "not JSON"),
        (event(data="x" * 20_000), 413, "20000 bytes"),
        (b'{"channel":"bad","data":[' + b"1e15," * 3900 + b"1]}", 413, "as stored"),
    ],
)  # fmt: skip
def test_bad_input_is_a_problem_that_says_what_is_wrong_and_stores_nothing(
    replica: Replicas, body: bytes, status: int, said: str
) -> None:
    end = replica.service.hub.ring.end
    answer = replica.post(body)
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json["status"] == status
    assert said in answer.json["detail"]
    assert replica.service.hub.ring.end == end


@pytest.mark.parametrize("key", ["a b", "é".encode().decode("latin-1"), "x" * 201])
def test_a_key_that_is_no_key_is_refused(replica: Replicas, key: str) -> None:
    assert replica.post({"channel": "bad", "data": 1}, idempotency_key=key).status == 400


@pytest.mark.parametrize(
    ("head", "body", "status"),
    [
        ("Content-Length: 9999999999", b"", 413),
        ("Content-Length: 20001", b"", 413),
        ("Transfer-Encoding: chunked", b"3e8\r\n" + b"x" * 1000 + b"\r\n", 413),
    ],
)
def test_a_body_over_the_limit_is_refused_while_it_arrives(
    replica: Replicas, head: str, body: bytes, status: int
) -> None:
    with Client(replica.port) as client:
        client.send(f"POST /api/v1/events HTTP/1.1\nHost: x\n{head}", body * 21)
        assert client.answer().status == status


@pytest.mark.parametrize(
    "head", ["Content-Length: -1", "Content-Length: x", "Content-Length: 1\nContent-Length: 2", "X: " + "y" * 70_000]
)
def test_a_head_that_http_does_not_allow_ends_the_connection(replica: Replicas, head: str) -> None:
    with Client(replica.port) as client:
        client.send(f"POST /api/v1/events HTTP/1.1\nHost: x\n{head}", b"{}")
        assert client.answer().status == 400
        assert not client.receive()


def test_a_publisher_that_goes_away_within_its_body_leaves_no_error(
    replica: Replicas, caplog: pytest.LogCaptureFixture
) -> None:
    with Client(replica.port) as client:
        client.send("POST /api/v1/events HTTP/1.1\nHost: x\nContent-Length: 100", b"{")
    assert replica.get("/health/live").status == 200
    eventually(lambda: len(replica._servers[0].server_state.connections) <= 1)
    assert not caplog.records


def test_wrong_methods_and_paths_are_problems_too(replica: Replicas) -> None:
    for method, path, status in [
        ("PUT", "/api/v1/events", 405),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/../etc/passwd", 404),
    ]:
        with Client(replica.port) as client:
            client.send(f"{method} {path} HTTP/1.1\nHost: x")
            answer = client.answer()
        assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")


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
        replica.call(lambda: setattr(replica.service.publisher, "_in_flight", 1))
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


def test_the_root_of_the_api_says_where_to_go(replica: Replicas) -> None:
    answer = replica.get("/api/v1/")
    assert answer.status == 200
    assert answer.json["publish"] == "POST /api/v1/events"
