"""Who asked is said in the answer, in a problem and in the log; a hostile id gets nowhere."""

from __future__ import annotations

import logging
import re

import pytest
from sse_harness import Client, Replicas, Stream, eventually

from sse_app.base import trace_context
from sse_app.base.log_lines import JsonLines, TextLines

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FRESH = re.compile(r"[0-9a-f]{32}")


@pytest.mark.parametrize(
    "request_line",
    [
        "GET /health/live", "GET /api/v1/stats", "GET /metrics", "GET /nowhere", "PUT /api/v1/events",
        "GET /api/v1/stream?channel=a", "HEAD /api/v1/stream?channel=a", "GET /api/v1/stream", "DELETE /api/v1/stream",
        "GET /api/v1/channels/a/history?limit=0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("given", ["4bf92f3577b34da6a3ce929d0e0e4736", None])
def test_every_answer_carries_the_id_of_its_request(replica: Replicas, request_line: str, given: str | None) -> None:
    with Client(replica.port) as client:
        client.send(f"{request_line} HTTP/1.1\nHost: x" + (f"\nX-Request-ID: {given}" if given else ""))
        endless = request_line.endswith("stream?channel=a")
        answer = client.head() if endless else client.answer()
    said = answer.headers["x-request-id"]
    assert FRESH.fullmatch(said)
    assert given in (None, said)
    if answer.headers["content-type"] == "application/problem+json":
        assert answer.json["request_id"] == said


@pytest.mark.parametrize(
    "hostile", ["", " ", "a b", "x" * 129, "x" * 60_000, '","level":"x', "a\x00", "é", "{{1}}", "$(id)", "<b>", "a;b"]
)
def test_a_hostile_id_is_replaced(replica: Replicas, channel: str, hostile: str) -> None:
    with Client(replica.port) as client:
        client.send(f"GET /nowhere HTTP/1.1\nHost: x\nX-Request-ID: {hostile}")
        answer = client.answer()
    if answer.status == 404:  # else the parser itself has refused the header
        assert FRESH.fullmatch(answer.headers["x-request-id"])
        assert answer.json["request_id"] == answer.headers["x-request-id"]
    else:
        assert (answer.status, hostile) == (400, "a\x00")
    if hostile == "a b":  # it is no key to drop duplicates by, either
        event = {"channel": channel, "data": 1}
        first, second = (replica.post(event, x_request_id=hostile) for _ in range(2))
        assert first.json != second.json


@pytest.mark.parametrize("settings", [{}, {"publish_deadline_seconds": 1}])
def test_the_log_names_the_request_of_a_publish_that_fails(
    channel: str, caplog: pytest.LogCaptureFixture, settings: dict[str, int]
) -> None:
    lines, text = JsonLines("replica-1"), TextLines()
    seen: list[tuple[str, str]] = []
    handler = logging.Handler()
    handler.emit = lambda record: seen.append((lines.format(record), text.format(record)))
    caplog.set_level(logging.INFO, "sse_app")
    logging.getLogger("sse_app.base.problem").addHandler(handler)
    with Replicas(**settings) as replica:
        replica.log.available = not settings
        body = b"{" if not settings else {"channel": channel, "data": 1}
        answer = replica.post(body, x_request_id="request-1", traceparent=TRACE)
    logging.getLogger("sse_app.base.problem").removeHandler(handler)
    status, level = (400, "info") if not settings else (503, "warning")
    assert (answer.status, answer.json["request_id"]) == (status, "request-1")
    [(line, for_people)] = seen
    assert f'"level": "{level}"' in line
    assert f'"message": "{status} to POST /api/v1/events: ' in line
    assert '"replica": "replica-1", "request_id": "request-1"' in line
    assert f'"trace_id": "{trace_context.trace_id(TRACE)}"' in line
    assert for_people.endswith(" (request request-1)")


def test_the_log_names_the_request_of_a_stream_that_ends_abnormally(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "sse_app.http.stream")
    caplog.handler.setFormatter(JsonLines("replica-1"))

    def lines() -> list[str]:
        return [line for line in caplog.text.splitlines() if "sse_app.http.stream" in line]

    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096, slow_reader_seconds=1) as replica:
        with replica.stream("usual") as stream:
            stream.block()
        eventually(lambda: not replica.service.hub.streams)
        client = Stream(replica.port, "slow", receive_buffer=4096)
        with client:
            client.block()
            for n in range(50):
                replica.publish({"channel": "slow", "data": f"{n} {'x' * 10_000}"})
            eventually(lambda: not replica.service.hub.streams)
        # A stream leaves the hub before it writes its line.
        eventually(lines)
    [line] = lines()
    assert '"message": "stream ended (slow) at offset ' in line
    assert f'"request_id": "{client.headers["x-request-id"]}"' in line
