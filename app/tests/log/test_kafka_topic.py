"""What the topic of the log is asked to be, without a broker."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sse_app.base.settings import Settings
from sse_app.log.kafka import KafkaLog, segment_bytes


@pytest.mark.parametrize(
    ("retention", "segment"), [(-1, 2**30), (0, 2**20), (2**20, 2**20), (2**30, 2**27), (2**40, 2**30)]
)
def test_a_small_log_has_small_files_because_kafka_removes_whole_ones(retention: int, segment: int) -> None:
    assert segment_bytes(retention) == segment


class Admin:
    """Takes what a topic is to be."""

    def __init__(self, present: dict[str, str] | None = None) -> None:
        self.present = present
        self.wanted: dict[str, str] = {}

    async def list_topics(self) -> list[str]:
        return [] if self.present is None else ["sse-events"]

    async def create_topics(self, topics: list[Any]) -> Any:
        [topic] = topics
        self.present = self.wanted = topic.topic_configs
        return SimpleNamespace(topic_errors=[("sse-events", 0)])

    async def describe_topics(self, _: list[str]) -> list[Any]:
        return [{"partitions": [0]}]

    async def describe_configs(self, _: list[Any]) -> list[Any]:
        return [SimpleNamespace(resources=[(0, "", 2, "sse-events", list((self.present or {}).items()))])]

    async def alter_configs(self, resources: list[Any]) -> None:
        [resource] = resources
        self.wanted = resource.configs


def test_no_producer_can_make_replicas_unpack_anything() -> None:
    new = Admin()
    asyncio.run(KafkaLog(Settings(kafka_brokers="a:1"))._prepare(new))
    earlier = Admin({**new.wanted, "compression.type": "producer"})
    asyncio.run(KafkaLog(Settings(kafka_brokers="a:1"))._prepare(earlier))
    assert earlier.wanted == new.wanted
    assert new.wanted["compression.type"] == "uncompressed"
    asyncio.run(KafkaLog(Settings(kafka_brokers="a:1"))._prepare(same := Admin(new.wanted)))
    assert same.wanted == {}
