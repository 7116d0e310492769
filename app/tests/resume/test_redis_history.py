"""Redis makes pages of history and resumes faster, never shorter, and nothing waits for it."""

from __future__ import annotations

import pytest
import redis_server
from redis_server import RedisServer
from sse_harness import Replicas, eventually

pytestmark = redis_server.needed


def test_history_outlives_the_memory_of_a_replica_and_whatever_redis_has_forgotten(
    redis: RedisServer, channel: str
) -> None:
    with Replicas(2, ring_events=10, **redis.settings) as replicas:
        path = f"/api/v1/channels/{channel}/history?limit=100"
        eventually(lambda: all(service.redis_history.state == "ok" for service in replicas.services))
        ids = replicas.publish(*({"channel": channel, "event": "e", "data": str(n)} for n in range(120)))
        eventually(lambda: redis.client.llen("sse-events:sequence") >= 120)
        assert replicas.get(path, 1).json["source"] == "redis"
        redis.client.flushall()
        for index in range(2):
            found = replicas.get(path, index).json
            assert [event["id"] for event in found["events"]] == ids[20:]
        assert found["events"][0] == {"id": ids[20], "event": "e", "data": "20"}
        traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
        replicas.post({"channel": channel, "data": "traced"}, traceparent=traceparent)
        eventually(lambda: replicas.get(path).json["events"][-1]["data"] == "traced")
        assert replicas.get(path).json["events"][-1]["traceparent"] == traceparent
        replicas.call(replicas.log.recreate)
        eventually(lambda: replicas.get(path).json["events"] == [])


def test_without_redis_events_flow_and_only_the_health_and_the_history_say_so(
    redis: RedisServer, channel: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Replicas(**redis.settings) as replicas:
        eventually(lambda: replicas.get("/health/ready").json["checks"]["redis"] == "ok")
        with replicas.stream(channel) as stream:
            redis.stop()
            [first] = replicas.publish({"channel": channel, "data": 1})
            assert stream.events(1)[0].id == first
            eventually(lambda: replicas.service.redis_history.state == "unavailable")
            health = replicas.get("/health/ready")
            assert (health.status, health.json["status"], health.json["checks"]["redis"]) == (
                200,
                "degraded",
                "unavailable",
            )
            assert replicas.get(f"/api/v1/channels/{channel}/history").json["source"] in ("memory", "log")
            redis.start()
            eventually(lambda: replicas.get("/health/ready").json["checks"]["redis"] == "ok")
    assert redis_server.PASSWORD not in caplog.text


def test_a_wrong_password_is_said_and_never_shown(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    redis.password_file.write_text("canary-wrong")
    with Replicas(**redis.settings) as replicas:
        eventually(lambda: replicas.get("/health/ready").json["checks"]["redis"] == "unavailable")
        assert "canary" not in replicas.get("/api/v1/stats").body.decode()
    assert "canary" not in caplog.text
