"""The promise, held against parts that die: see bench/soak.py and bench/oracle.py."""

from __future__ import annotations

import pytest
from ansible_collections.sse.platform.tests.integration.soaking import soak
from ansible_collections.sse.platform.tests.integration.stack import Stack


@pytest.mark.whole
def test_200_subscribers_lose_and_double_nothing_while_each_replica_redis_kafka_and_nginx_are_killed(
    stack: Stack,
) -> None:
    report = soak(stack, "replica,redis,kafka,nginx")
    suffered = [(one["fault"], one["target"]) for one in report["faults"]]
    assert suffered == [
        ("none", ""),
        *(("replica", f"app-{number}") for number in (1, 2, 3)),
        *(("redis", "redis-master"), ("kafka", "kafka"), ("nginx", "nginx")),
    ]
    by_fault = {one["target"]: one for one in report["faults"]}
    assert sum(one["gaps"] for one in report["faults"]) == 0
    assert report["deliveries"] > 200 * 30
    for number in (1, 2, 3):  # its streams broke, a third on a quiet machine, and went on somewhere
        assert by_fault[f"app-{number}"]["reconnects"] >= 20
        assert sum(by_fault[f"app-{number}"]["resumes"].values()) >= 20
    assert by_fault["redis-master"]["reconnects"] == 0
    assert by_fault["kafka"]["reconnects"] == 0
    assert by_fault["nginx"]["reconnects"] >= 200
    assert by_fault["kafka"]["retried"] >= 1  # so a 503 was settled by its retry
