from __future__ import annotations

import asyncio
import json
import re
import time

import pytest
from sse_harness import Client, Replicas, Stream, blocks, eventually

from sse_app.base.channels import parse
from sse_app.base.event import Event
from sse_app.fanout.subscriber import Subscriber
from sse_app.log.interface import Bounds


def data(stream: Stream, count: int) -> list[str | None]:
    return [block.data for block in stream.events(count)]


def test_a_stream_begins_with_retry_and_cursor_and_ends_each_frame_with_its_id(replica: Replicas, channel: str) -> None:
    with replica.stream(channel) as stream:
        assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert stream.headers["cache-control"].startswith("no-store")
        assert stream.headers["x-replica"] == "replica-1"
        opening = stream.block()
        assert [name for name, _ in opening.fields] == ["retry", "event", "data", "id"]
        assert (opening.event, opening.data) == ("cursor", "{}")
        assert 1000 <= int(opening.fields[0][1]) <= 3000
        [id_] = replica.publish({"channel": channel, "event": "e", "data": "a\nb"})
        assert stream.block().fields == [("event", "e"), ("data", "a"), ("data", "b"), ("id", id_)]


def test_a_subscriber_gets_its_channels_in_order_and_nothing_else(replica: Replicas, channel: str) -> None:
    with replica.stream([channel, f"{channel}.*", f"{channel}.a.*"]) as stream, replica.stream("*") as everything:
        names = [channel, "elsewhere", f"{channel}.a.b", f"{channel}x", f"{channel}.c"]
        replica.publish(*({"channel": name, "data": str(n)} for n, name in enumerate(names)))
        assert data(stream, 3) == ["0", "2", "4"]
        assert stream.silent()  # each once, though two patterns match a.b
        assert data(everything, 5) == ["0", "1", "2", "3", "4"]


def test_the_writes_go_straight_to_the_transport(replica: Replicas, channel: str) -> None:
    """Fails when uvicorn no longer has the hooks that protocol.py overrides."""
    before = replica.service.metrics.streams.copy()
    with replica.stream(channel) as stream:
        stream.block()
        assert replica.service.metrics.streams - before == {"direct": 1}


def test_without_the_hook_the_stream_falls_back_to_send(channel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_app.http.stream_output.EXTENSION", "missing")
    with Replicas(heartbeat_seconds=1) as replica, replica.stream(channel) as stream:
        [id_] = replica.publish({"channel": channel, "data": 1})
        assert stream.events(1)[0].id == id_
        assert stream.block().fields == [("event", "cursor"), ("data", "{}"), ("id", id_)]  # its heartbeat
        replica.publish({"channel": channel, "data": 2})
        assert data(stream, 1) == ["2"]
        assert replica.service.metrics.streams == {"send": 1}
        replica.call(lambda: [subscriber.end("draining") for subscriber in replica.service.hub.streams])
        assert stream.block().event == "bye"
        assert stream.block() is None
    assert not replica.service.hub.streams


@pytest.mark.parametrize("how", ["header", "query", "header wins", "empty header"])
def test_a_stream_resumes_after_its_cursor_with_nothing_lost_or_doubled(
    replica: Replicas, channel: str, how: str
) -> None:
    ids = replica.publish(*({"channel": channel, "data": str(n)} for n in range(5)))
    header = {"header": ids[1], "header wins": ids[1], "empty header": ""}.get(how)
    query = {"query": ids[1], "header wins": ids[3], "empty header": ids[1]}.get(how)
    with replica.stream(channel, header, **({"last_event_id": query} if query else {})) as stream:
        assert stream.block().id == ids[1]
        replica.publish({"channel": channel, "data": "5"})
        assert data(stream, 4) == ["2", "3", "4", "5"]


@pytest.mark.parametrize("space", [" ", "\t", " \t  "])
def test_white_space_after_a_header_is_no_part_of_it(replica: Replicas, channel: str, space: str) -> None:
    first, second = replica.publish({"channel": channel, "data": 1}, {"channel": channel, "data": 2})
    with replica.stream(channel, f"{first}{space}") as stream:
        assert stream.events(1)[0].id == second
    body = json.dumps({"channel": channel, "data": 3}).encode()
    head = f"POST /api/v1/events HTTP/1.1\nHost: x{space}\nContent-Length: {len(body)}{space}"
    with Client(replica.port) as client:
        client.send(f"{head}\nContent-Type: application/json{space}\nIdempotency-Key: {channel}{space}", body)
        answer = client.answer()
    assert (answer.status, answer.headers["idempotency-key"]) == (202, channel)


def test_a_cursor_older_than_the_ring_is_resumed_from_the_log_with_duplicates_dropped(channel: str) -> None:
    with Replicas(ring_events=10) as replica:
        [cursor] = replica.publish({"channel": channel, "data": "first"})
        for n in range(40):
            replica.post({"channel": channel, "data": str(n // 2)}, idempotency_key=f"key-{n // 2}")
        assert replica.service.hub.ring.start > 20
        with replica.stream(channel, cursor) as stream:
            assert data(stream, 20) == [str(n) for n in range(20)]
            replica.publish({"channel": channel, "data": "live"})
            assert data(stream, 1) == ["live"]
        assert replica.service.metrics.resumes["log"] == 1


def test_a_cursor_that_retention_has_passed_gets_a_gap_expired(channel: str) -> None:
    with Replicas(2, ring_events=10) as replica:
        ids = replica.publish(*({"channel": channel, "data": str(n)} for n in range(40)))
        replica.call(lambda: replica.log.trim(15))
        for cursor in (ids[20], ids[35]):  # this replica has read what came before, and knows all duplicates
            with replica.stream(channel, cursor) as stream:
                assert data(stream, 1) == [str(int(cursor.split("-")[0]))]
        late = replica.services[1].hub  # as a replica that starts now: the window before its cursors is not whole
        replica.wait(late.restart(lambda: replica.services[1].feed._load(Bounds(15, late.ring.end), late.ring.end)))
        for index, cursor in enumerate([ids[3], ids[20]]):
            with replica.stream(channel, cursor, index) as stream:
                assert stream.block().json["reason"] == "expired"


def test_a_cursor_ahead_of_a_lagging_replica_is_held_until_it_has_caught_up(channel: str) -> None:
    with Replicas(2, hold_seconds=1) as replica:
        replica.call(lambda: replica.services[1].feed.error)
        lagging = replica.services[1].feed
        take = lagging._take
        held: list[object] = []

        async def hold(records: object) -> None:
            held.extend(records)  # type: ignore[arg-type]

        replica.call(lambda: setattr(lagging, "_take", hold))
        ids = replica.publish({"channel": channel, "data": "1"}, {"channel": channel, "data": "2"})
        with replica.stream(channel, ids[0], index=1) as impatient:
            assert [name for name, _ in impatient.block().fields] == ["retry"]
            assert impatient.block() is None  # come back, to any replica
        patient = Client(replica.ports[1])
        patient.send(f"GET /api/v1/stream?channel={channel} HTTP/1.1\nHost: x\nLast-Event-ID: {ids[0]}")
        eventually(lambda: held)
        replica.call(lambda: setattr(lagging, "_take", take))
        replica.wait(take(held))  # type: ignore[arg-type]
        assert patient.head().status == 200
        text = patient.chunk() or b""
        while b"data: 2" not in text:
            text += patient.chunk() or b""
        assert [block.data for block in blocks(text.decode())] == ["{}", "2"]
        patient.__exit__()


def test_head_gets_the_headers_alone(replica: Replicas) -> None:
    with Client(replica.port) as client:
        client.send("HEAD /api/v1/stream?channel=a HTTP/1.1\nHost: x")
        assert client.head().headers["content-type"] == "text/event-stream; charset=utf-8"
        client.send("GET /health/live HTTP/1.1\nHost: x\nConnection: close")
        assert client.answer().status == 200
        assert not client.raw


def test_cross_origin_requests_are_allowed_by_configuration_alone(replica: Replicas, channel: str) -> None:
    asked = "OPTIONS /api/v1/stream HTTP/1.1\nHost: x\nOrigin: https://a.example\nAccess-Control-Request-Method: GET\n"
    asked += "Access-Control-Request-Headers: last-event-id, authorization, idempotency-key"
    with Replicas(cors_origins="https://a.example") as allowing, Client(allowing.port) as client:
        client.send(asked)
        answer = client.answer()
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "https://a.example")
        client.send(f"GET /api/v1/stream?channel={channel} HTTP/1.1\nHost: x\nOrigin: https://a.example")
        assert client.head().headers["access-control-allow-origin"] == "https://a.example"
        allowing.publish({"channel": channel, "data": 1})
        client.chunk()
        assert b"data: 1" in (client.chunk() or b"")
        assert allowing.service.metrics.streams == {"direct": 1}
    with Client(replica.port) as client:
        client.send(asked)
        assert "access-control-allow-origin" not in client.answer().headers


def test_a_full_replica_sends_a_stream_elsewhere_by_200_and_retry(channel: str) -> None:
    with Replicas(max_streams=1) as replica, replica.stream(channel) as first:
        first.block()
        with replica.stream(channel) as second:
            assert second.status == 200
            assert [name for name, _ in second.block().fields] == ["retry"]
            assert second.block() is None


def test_a_full_replica_tells_a_balancer_that_asks_for_it_to_try_the_next(channel: str) -> None:
    with Replicas(max_streams=1) as replica, replica.stream(channel) as first, Client(replica.port) as second:
        first.block()
        second.send(f"GET /api/v1/stream?channel={channel} HTTP/1.1\nHost: x\nSSE-Later: 503")
        answer = second.answer()
        assert (answer.status, answer.headers["connection"], answer.body) == (503, "close", b"")


def slow(replica: Replicas) -> Subscriber:
    [subscriber] = [one for one in replica.service.hub.streams if "slow" in one.wanted.exact]
    return subscriber


def test_a_slow_reader_falls_back_to_the_ring_and_still_gets_everything_in_order(channel: str) -> None:
    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096) as replica:
        stream = Stream(replica.port, ["slow", channel], receive_buffer=4096)
        with stream, replica.stream(channel) as quick:
            stream.block()
            eventually(lambda: slow(replica).live)
            for n in range(100):
                replica.publish({"channel": "slow", "data": f"{n} {'x' * 3000}"})
            assert not slow(replica).live
            begun = time.monotonic()
            replica.publish({"channel": channel, "data": "end"})
            assert data(quick, 1) == ["end"]
            assert time.monotonic() - begun < 0.5  # nobody else waits
            assert [str(text).split()[0] for text in data(stream, 101)] == [*map(str, range(100)), "end"]
            eventually(lambda: slow(replica).live)


def test_a_reader_that_stays_slow_is_cut_and_resumes_by_its_id(channel: str) -> None:
    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096, slow_reader_seconds=1) as replica:
        stream = Stream(replica.port, "slow", receive_buffer=4096)
        with stream:
            last = stream.block().id
            for n in range(50):
                replica.publish({"channel": "slow", "data": f"{n} {'x' * 10_000}"})
            eventually(lambda: not replica.service.hub.streams)
            assert replica.service.metrics.stream_ends == {"slow": 1}
            got: list[str] = []
            try:
                while (block := stream.block()) is not None:
                    got.append(str(block.data).split()[0])
                    last = block.id
            except (ConnectionError, TimeoutError):
                pass
        with replica.stream("slow", last) as again:
            got += [str(text).split()[0] for text in data(again, 50 - len(got))]
        assert got == [*map(str, range(50))]


def test_a_reader_off_the_ring_is_ended_and_resumes_from_the_log(channel: str) -> None:
    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096, ring_events=10) as replica:
        stream = Stream(replica.port, "slow", receive_buffer=4096)
        with stream:
            stream.block()
            for n in range(60):
                replica.publish({"channel": "slow", "data": f"{n} {'x' * 5_000}"})
            got: list[str] = []
            while (block := stream.block()) is not None:
                got.append(str(block.data).split()[0])
            assert len(got) < 60
        with replica.stream("slow", stream.last_event_id) as again:
            got += [str(text).split()[0] for text in data(again, 60 - len(got))]
        assert got == [*map(str, range(60))]


def test_what_a_reader_that_never_reads_can_hide_is_bounded(channel: str) -> None:
    with (
        Replicas(write_buffer_bytes=65_536, send_buffer_bytes=65_536) as replica,
        Stream(replica.port, "slow", receive_buffer=4096) as stream,
    ):
        stream.block()
        for n in range(100):
            replica.publish({"channel": "slow", "data": f"{n} {'x' * 10_000}"})
        assert not slow(replica).live
        assert slow(replica).cursor * 10_000 < 512 * 1024


def test_a_stream_whose_cursor_was_checked_before_the_log_changed_is_ended(channel: str) -> None:
    with Replicas() as replica:
        resumer = replica.service.hub
        start = resumer.generation
        replica.call(lambda: setattr(resumer, "generation", start + 1))
        late = Subscriber(parse([channel]), 0, "id")
        replica.call(lambda: resumer.add(late, start))
        assert late.ending
        replica.call(lambda: resumer.remove(late))


def test_one_sweep_is_bounded_in_bytes(replica: Replicas, channel: str) -> None:
    with replica.stream(channel) as stream:
        stream.block()
        before = replica.service.metrics.writes
        publish = replica.service.publisher.publish

        async def many() -> None:
            events = [Event(channel=channel, data="x" * 19_000)]
            await asyncio.gather(*(publish(events, "test", f"{channel}{n}") for n in range(20)))

        replica.wait(many())
        assert len(stream.events(20)) == 20
        assert 3 <= replica.service.metrics.writes - before <= 20


def test_a_connection_that_is_gone_is_forgotten(replica: Replicas, channel: str) -> None:
    eventually(lambda: not replica.service.hub.streams)  # those of the tests before
    with replica.stream(channel) as stream:
        stream.block()
        assert len(replica.service.hub.streams) == 1
    eventually(lambda: not replica.service.hub.streams)
    hub = replica.service.hub
    assert all(channel not in group.exact for group in hub._groups)
    assert channel not in hub._by_exact


def test_a_pipelined_request_waits_for_the_end_of_its_stream(replica: Replicas, channel: str) -> None:
    with Client(replica.port) as client:
        client.send(f"GET /api/v1/stream?channel={channel} HTTP/1.1\nHost: x")
        client.send("GET /health/live HTTP/1.1\nHost: x")
        client.head()
        client.chunk()
        replica.publish({"channel": channel, "data": 1})
        assert re.fullmatch(rb"data: 1\nid: \S+\n\n", client.chunk() or b"")
        eventually(lambda: any(channel in one.wanted.exact for one in replica.service.hub.streams))
        replica.call(
            lambda: [one.end("draining") for one in replica.service.hub.streams if channel in one.wanted.exact]
        )
        assert b"event: bye" in (client.chunk() or b"")
        assert client.chunk() is None
        assert client.answer().status == 200
