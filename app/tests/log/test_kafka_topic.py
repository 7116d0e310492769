"""What the topic of the log is asked to be, without a broker."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sse_app.base.settings import Settings
from sse_app.log.interface import LogUnavailableError
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
        self.partitions = [0]

    async def list_topics(self) -> list[str]:
        return [] if self.present is None else ["sse-events"]

    async def create_topics(self, topics: list[Any]) -> Any:
        [topic] = topics
        self.present = self.wanted = topic.topic_configs
        return SimpleNamespace(topic_errors=[("sse-events", 0)])

    async def describe_topics(self, _: list[str]) -> list[Any]:
        return [{"partitions": self.partitions}]

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


def test_a_topic_of_somebody_else_s_is_taken_as_it_is() -> None:
    log = KafkaLog(Settings(kafka_brokers="a:1", topic_given=True))
    asyncio.run(log._prepare(theirs := Admin({"retention.ms": "1"})))
    assert theirs.wanted == {}
    absent = Admin()
    with pytest.raises(LogUnavailableError, match="there is no topic sse-events: expected one that somebody else has"):
        asyncio.run(log._prepare(absent))
    assert absent.present is None
    several = Admin({})
    several.partitions = [0, 1]
    with pytest.raises(LogUnavailableError, match="has 2 partitions"):
        asyncio.run(log._prepare(several))


@pytest.mark.parametrize(
    ("user", "tls", "protocol"),
    [("", False, "PLAINTEXT"), ("", True, "SSL"), ("sse", False, "SASL_PLAINTEXT"), ("sse", True, "SASL_SSL")],
)
def test_a_client_signs_in_as_the_settings_say(tmp_path: Path, user: str, tls: bool, protocol: str) -> None:
    password = tmp_path / "password"
    password.write_text("canary-4711\n")
    given: dict[str, Any] = {"kafka_user": user, "kafka_password_file": str(password)} if user else {}
    settings = Settings(kafka_brokers="a:1,b:2", kafka_tls=tls, kafka_mechanism="PLAIN", **given)
    options = KafkaLog(settings)._client_options()
    assert options["security_protocol"] == protocol
    assert [options.get(f"sasl_{name}") for name in ("mechanism", "plain_username", "plain_password")] == (
        ["PLAIN", "sse", "canary-4711"] if user else [None, None, None]
    )
    assert ("ssl_context" in options) == tls
    if tls:
        context = options["ssl_context"]
        assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
