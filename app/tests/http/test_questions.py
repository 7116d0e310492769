"""What monitors, proxies and caches expect of any question."""

from __future__ import annotations

import pytest
from sse_harness import Client, Replicas

QUESTIONS = [
    "/health/live", "/api/v1/health/ready", "/api/v1", "/api/v1/", "/api/v1/channels", "/api/v1/channels/a/history",
    "/api/v1/stats", "/api/v1/stats/stream", "/api/v1/limits", "/api/v1/stream?channel=a", "/docs", "/openapi.json",
    "/metrics", "/nothing", "/api/v1/stats?nothing=1",
]  # fmt: skip


@pytest.mark.parametrize("path", QUESTIONS)
def test_head_gets_what_get_says_without_a_body(replica: Replicas, path: str) -> None:
    with Client(replica.port) as asked, Client(replica.port) as client:
        asked.send(f"GET {path} HTTP/1.1\nHost: x")
        said = asked.head()
        client.send(f"HEAD {path} HTTP/1.1\nHost: x")
        head = client.head()
        assert (head.status, head.headers["content-type"]) == (said.status, said.headers["content-type"])
        assert ("content-length" in head.headers) == ("content-length" in said.headers)
        client.send("GET /health/live HTTP/1.1\nHost: x\nConnection: close")
        assert client.answer().json["status"] == "ok"  # the next answer on the connection, and nothing between
        assert not client.raw


@pytest.mark.parametrize("path", QUESTIONS)
def test_no_cache_between_keeps_an_answer(replica: Replicas, path: str) -> None:
    with Client(replica.port) as client:
        client.send(f"GET {path} HTTP/1.1\nHost: x")
        assert "no-store" in client.head().headers["cache-control"]


def test_a_method_that_an_address_does_not_have_is_refused_with_those_that_it_has(replica: Replicas) -> None:
    with Client(replica.port) as client:
        for method, path, allowed in (
            ("DELETE", "/api/v1/channels/a/history", "GET, HEAD"),
            ("HEAD", "/api/v1/tickets", "POST"),
            ("GET", "/api/v1/events", "POST"),
        ):
            client.send(f"{method} {path} HTTP/1.1\nHost: x")
            answer = client.head() if method == "HEAD" else client.answer()
            assert (answer.status, answer.headers["allow"]) == (405, allowed)
