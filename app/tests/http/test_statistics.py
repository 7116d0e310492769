"""Statistics as a stream."""

from __future__ import annotations

import threading
from contextlib import ExitStack

import pytest
from sse_harness import Client, Replicas, Stream, eventually, fetch

PATH = "/api/v1/stats/stream"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ticks that a test need not wait for."""
    monkeypatch.setattr("sse_app.http.routes.statistics._TICK_SECONDS", 0.05)


def watching(replica: Replicas, receive_buffer: int | None = None) -> Stream:
    """An open stream of statistics."""
    return Stream(replica.port, path=PATH, receive_buffer=receive_buffer)


def test_a_watcher_gets_what_the_statistics_are_and_then_every_tick(replica: Replicas, channel: str) -> None:
    with watching(replica) as watch:
        assert (watch.status, watch.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert watch.headers["cache-control"].startswith("no-store")
        assert [name for name, _ in watch.block().fields] == ["retry"]
        first = watch.block()
        assert first.event == "stats"
        before = replica.get("/api/v1/stats").json
        assert first.json.keys() == before.keys()
        replica.publish({"channel": channel, "data": 1})
        eventually(lambda: watch.block().json["events"] == before["events"] + 1)


def test_all_watchers_share_one_encoding_of_a_tick(replica: Replicas, monkeypatch: pytest.MonkeyPatch) -> None:
    statistics, encoded = replica.service.statistics, []
    now = statistics.now
    monkeypatch.setattr(statistics, "now", lambda: encoded.append(1) or now())
    with ExitStack() as stack:
        watches = [stack.enter_context(watching(replica)) for _ in range(10)]
        for watch in watches:
            watch.events(11)  # its own first, and ten ticks
    assert 20 <= len(encoded) < 60  # encoded for each, they were 110


def test_nobody_watching_costs_no_ticks_and_a_watcher_that_goes_is_forgotten(replica: Replicas) -> None:
    statistics = replica.service.statistics
    eventually(lambda: statistics.watchers == 0)  # those of other tests
    with watching(replica) as watch:
        watch.block()
        assert statistics.watchers == 1
        assert statistics._watched.is_set()
    eventually(lambda: statistics.watchers == 0)
    assert not statistics._watched.is_set()


def test_one_watcher_too_many_is_sent_elsewhere_by_200_and_retry() -> None:
    with Replicas(max_stats_streams=1) as replica, watching(replica) as first:
        first.block()
        answer = fetch(f"http://127.0.0.1:{replica.port}{PATH}")
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.body.startswith(b"retry: ")
        assert answer.body.count(b"\n") == 2


def test_one_address_holds_a_quarter_of_the_places_for_watchers() -> None:
    with Replicas(max_stats_streams=8) as replica, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(watching(replica)).block()
        answer = fetch(f"http://127.0.0.1:{replica.port}{PATH}")
        assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_drain_says_bye_to_watchers_and_ends_their_streams() -> None:
    with Replicas() as replica, watching(replica) as watch:
        watch.block()
        stop = threading.Thread(target=replica.__exit__)
        stop.start()
        bye = watch.block()
        while bye.event == "stats":
            bye = watch.block()
        assert ([name for name, _ in bye.fields], bye.json) == (["retry", "event", "data"], {"reason": "draining"})
        assert watch.block() is None
        stop.join(20)


def test_a_watcher_that_reads_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sse_app.http.routes.statistics._TICK_SECONDS", 0.001)
    with (
        Replicas(slow_reader_seconds=1, send_buffer_bytes=4096) as replica,
        watching(replica, 2048) as watch,
    ):
        watch.block()
        eventually(lambda: replica.service.statistics.watchers == 0, 20)


def test_http_1_0_has_no_streams(replica: Replicas) -> None:
    with Client(replica.port) as client:
        client.send(f"GET {PATH} HTTP/1.0")
        answer = client.answer()
    assert (answer.status, answer.headers["content-type"]) == (505, "application/problem+json")
