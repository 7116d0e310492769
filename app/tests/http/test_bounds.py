"""The bounds that the service tells are those that it holds its clients to; load tests have a rate of their own."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from sse_harness import Answer, Replicas, eventually

from sse_app.access import limits

BOUNDS: dict[str, Any] = {"max_event_bytes": 2000, "max_body_bytes": 9000, "max_batch_events": 5}


def test_what_is_within_the_bounds_is_taken_and_what_is_over_one_is_refused(channel: str) -> None:
    with Replicas(**BOUNDS, max_channels_per_stream=3, max_streams_per_address=2) as replica:
        told = replica.get("/api/v1/limits").json
        assert told == {
            "event_bytes": 2000,
            "body_bytes": 9000,
            "batch_events": 5,
            "channels_per_stream": 3,
            "streams_per_address": 2,
            "load_test": {"events_per_second": 500, "seconds": 300},
        }

        def status(count: int, size: int) -> int:
            return replica.post([{"channel": channel, "data": "x" * size}] * count).status

        head = len("data: ")
        assert (status(1, told["event_bytes"] - 100), status(1, told["event_bytes"] - head + 1)) == (202, 413)
        assert (status(told["batch_events"], 1), status(told["batch_events"] + 1, 1)) == (202, 422)
        assert replica.post(b" " * (told["body_bytes"] + 1)).status == 413
        names = "&".join(f"channel=c{n}" for n in range(told["channels_per_stream"] + 1))
        assert replica.get(f"/api/v1/stream?{names}").status == 400


def test_a_bound_that_does_not_exist_is_left_out() -> None:
    with Replicas(load_test_rate=0, publish_rate=7, publish_burst=900) as replica:
        told = replica.get("/api/v1/limits").json
        assert (told["publish_rate"], told["publish_burst"]) == (7, 900)
        assert told.keys().isdisjoint({"load_test", "streams_per_address"})


@pytest.mark.parametrize("batch", [1, 5])
def test_load_tests_are_refused_above_their_rate_and_nobody_else_is(channel: str, batch: int) -> None:
    event = [{"channel": channel, "data": 1}] * batch
    with Replicas(load_test_rate=10) as replica:
        answers = [replica.post(event, load_test="1") for _ in range(10 // batch)]
        assert {one.status for one in answers} == {202}
        over = [replica.post(event, load_test="1") for _ in range(10)][-1]
        assert (over.status, over.headers["retry-after"]) == (429, "1")
        assert "10 events per second" in over.json["detail"]
        assert {replica.post(event).status for _ in range(20)} == {202}
        assert replica.service.metrics.limited["publish"] > 0


def test_a_load_test_lasts_as_long_as_one_may_and_another_one_begins_anew(
    channel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_TEST_LATE_SECONDS", 0)
    with Replicas(load_test_seconds=1) as replica:

        def answer(name: str) -> Answer:
            return replica.post({"channel": channel, "data": 1}, load_test=name)

        assert answer("one").status == 202
        eventually(lambda: answer("one").status == 403)
        assert "1 s, which one may last" in answer("one").json["detail"]
        assert answer("two").status == 202


def test_a_load_test_that_paused_is_another_one_and_as_many_as_one_likes_take_a_bounded_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    tests = limits.LoadTests(10)

    def lasts(at: float, name: bytes = b"1") -> bool:
        clock[0] = at
        return tests.lasts(name)

    assert [lasts(at) for at in (0, 15, 16, 76, 137, 151, 153)] == [True, True, False, False, True, True, False]
    for number in range(5000):
        lasts(200, b"%d" % number)
    assert len(tests) == 1000


def test_where_load_tests_are_off_one_is_refused_with_the_reason(channel: str) -> None:
    with Replicas(load_test_rate=0) as replica:
        answer = replica.post({"channel": channel, "data": 1}, load_test="1")
        assert (answer.status, "switched off" in json.dumps(answer.json)) == (403, True)
        assert replica.post({"channel": channel, "data": 1}).status == 202
