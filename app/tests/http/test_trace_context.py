"""A publisher's traceparent reaches whoever asks for it, by every way that an event can take, and nobody else."""

from __future__ import annotations

import pytest
from sse_harness import Block, Client, Replicas, Stream

from sse_app.base import trace_context

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


@pytest.mark.parametrize("given", [TRACE, "cc-" + TRACE[3:], "cc-" + TRACE[3:] + "-more"])
def test_a_traceparent_that_is_valid_is_taken_as_version_00(given: str) -> None:
    assert trace_context.parse(given.encode()) == TRACE


@pytest.mark.parametrize(
    "given",
    [
        "", TRACE[:-1], TRACE + "0", TRACE + "-more", "ff" + TRACE[2:], TRACE.upper(), TRACE.replace("-", "_"),
        "00-" + "0" * 32 + TRACE[35:], TRACE[:36] + "0" * 16 + "-01", "cc" + TRACE[2:] + "more", TRACE + "\n",
        " " + TRACE,
    ],
)  # fmt: skip
def test_a_traceparent_that_is_not_valid_is_none(given: str) -> None:
    assert trace_context.parse(given.encode()) == ""


def shown(blocks: list[Block]) -> list[tuple[str, str | None, bool]]:
    return [(block.event, block.data, block.id is not None) for block in blocks]


@pytest.mark.parametrize("way", ["live", "ring", "log", "without the hook"])
def test_who_asks_gets_it_before_the_event_and_who_does_not_gets_the_same_bytes_as_ever(
    channel: str, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "without the hook":
        monkeypatch.setattr("sse_app.http.stream_output.EXTENSION", "missing")
    live = way not in ("ring", "log")
    with Replicas(2, ring_events=10) as replicas:
        [cursor] = replicas.publish({"channel": channel, "data": "first"})
        later = None if live else cursor
        streams: list[Stream] = []
        if live:
            streams = [replicas.stream(channel, index=1, **query) for query in ({"trace": "1"}, {})]
            assert all(stream.block() for stream in streams)
        replicas.post([{"channel": channel, "data": n} for n in (1, 2)], traceparent=TRACE)
        replicas.post({"channel": channel, "event": "e", "data": 3}, traceparent=OTHER)
        replicas.publish({"channel": channel, "data": 4})
        if way == "log":
            replicas.publish(*({"channel": "other", "data": 0} for _ in range(30)))
        if not live:
            streams = [replicas.stream(channel, later, index=1, **query) for query in ({"trace": "1"}, {})]
        traced, plain = streams
        for stream in streams:
            if stream.text == "" and not live:
                stream.block()
        assert shown(traced.events(7)) == [
            ("traceparent", TRACE, False),
            ("message", "1", True),
            ("traceparent", TRACE, False),
            ("message", "2", True),
            ("traceparent", OTHER, False),
            ("e", "3", True),
            ("message", "4", True),
        ]
        assert shown(plain.events(4)) == [
            ("message", "1", True),
            ("message", "2", True),
            ("e", "3", True),
            ("message", "4", True),
        ]
        assert replicas.services[1].metrics.resumes == {{"log": "log", "ring": "ring"}.get(way, "new"): 2}
        for stream in streams:
            stream.__exit__()


def test_the_history_shows_it(replica: Replicas, channel: str) -> None:
    replica.publish({"channel": channel, "data": 1})
    replica.post({"channel": channel, "data": 2}, traceparent=TRACE)
    first, second = replica.get(f"/api/v1/channels/{channel}/history").json["events"]
    assert "traceparent" not in first
    assert (second["data"], second["traceparent"]) == ("2", TRACE)


@pytest.mark.parametrize("head", [f"traceparent: {TRACE}x", f"traceparent: {TRACE}\ntraceparent: {OTHER}"])
def test_one_that_is_not_valid_is_ignored_and_the_event_accepted(replica: Replicas, channel: str, head: str) -> None:
    body = b'{"channel":"%b","data":1}' % channel.encode()
    with replica.stream(channel, trace="1") as stream:
        stream.block()
        with Client(replica.port) as client:
            client.send(
                "POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\n"
                f"Content-Length: {len(body)}\n{head}",
                body,
            )
            assert client.answer().status == 202
        assert shown(stream.events(1)) == [("message", "1", True)]


def test_a_retry_with_another_span_is_the_same_publish(replica: Replicas, channel: str) -> None:
    event = {"channel": channel, "data": 1}
    first = replica.post(event, idempotency_key=channel, traceparent=TRACE)
    again = replica.post(event, idempotency_key=channel, traceparent=TRACE[:36] + "0" * 15 + "1-01")
    assert (again.status, again.json) == (202, first.json)


def test_the_name_is_the_streams_own(replica: Replicas, channel: str) -> None:
    assert replica.post({"channel": channel, "event": "traceparent", "data": TRACE}).status == 422
    with Client(replica.port) as client:
        client.send("GET /api/v1/stream?channel=a&trace=yes HTTP/1.1\nHost: x")
        assert client.answer().status == 400
