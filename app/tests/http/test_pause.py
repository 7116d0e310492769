"""Publishing is paused by a file: each replica that looks at it refuses, and everything else goes on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from sse_harness import Replicas


@pytest.fixture
def switch(tmp_path: Path) -> Path:
    return tmp_path / "publishing"


def paused(switch: Path, secret: str = "operator") -> None:
    said = {"since": "2026-01-02T03:04:05Z", "pass": hashlib.sha256(secret.encode()).hexdigest()}
    switch.write_text(json.dumps(said))


def test_a_publish_is_refused_from_the_moment_of_the_pause_and_taken_after_it_with_the_same_key(
    switch: Path, channel: str
) -> None:
    with Replicas(pause_file=str(switch)) as replica, replica.stream(channel) as stream:
        stream.block()
        paused(switch)
        for body in ({"channel": channel, "data": 1}, [{"channel": channel, "data": 1}], b"no JSON at all"):
            answer = replica.post(body, idempotency_key="k")
            assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
            assert answer.headers["retry-after"] == "5"
            assert "paused since 2026-01-02T03:04:05Z" in answer.json["detail"]
            assert "outcome" not in answer.json
        assert replica.service.metrics.publishes["paused"] == 3
        assert "sse_publishing_paused 1.0" in replica.get("/metrics").body.decode()
        ready = replica.get("/health/ready")
        assert (ready.status, ready.json["checks"]["publishing"]) == (200, "paused")
        switch.unlink()
        [id_] = replica.post({"channel": channel, "data": 1}, idempotency_key="k").json["ids"]
        assert [(one.data, one.id) for one in stream.events(1)] == [("1", id_)]
        assert "sse_publishing_paused 0.0" in replica.get("/metrics").body.decode()


def test_a_replica_that_starts_later_knows_and_streams_and_resumes_go_on(switch: Path, channel: str) -> None:
    paused(switch)
    with Replicas(pause_file=str(switch)) as replica:
        assert replica.post({"channel": channel, "data": 1}).status == 503
        with replica.stream(channel) as stream:
            assert stream.status == 200
        assert replica.get("/api/v1/channels").status == 200


def test_the_operator_publishes_meanwhile_and_nobody_with_another_word(switch: Path, channel: str) -> None:
    paused(switch, "operator")
    with Replicas(pause_file=str(switch)) as replica:
        assert replica.post({"channel": channel, "data": 1}, sse_operator="operator").status == 202
        assert replica.post({"channel": channel, "data": 1}, sse_operator="guess").status == 503


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pass": ""}'])
def test_a_file_that_says_nothing_is_a_pause_for_everybody(switch: Path, channel: str, content: str) -> None:
    switch.write_text(content)
    with Replicas(pause_file=str(switch)) as replica:
        assert replica.post({"channel": channel, "data": 1}, sse_operator="").status == 503
