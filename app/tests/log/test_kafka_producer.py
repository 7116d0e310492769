"""What becomes of a producer that is given up, with aiokafka's own parts and no broker."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import MessageAccumulator
from sse_harness import Replicas

from sse_app.base.settings import Settings
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Draft
from sse_app.log.kafka import KafkaLog


async def test_a_producer_that_is_discarded_fails_what_it_holds_and_leaves_nothing_for_the_log_to_complain_of() -> None:
    said: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))

    async def close() -> None: ...

    held = MessageAccumulator(ClusterMetadata(metadata_max_age_ms=1000), 1000, 0, 30, loop=loop)
    waiting: Any = await held.add_message(TopicPartition("topic", 0), b"channel", b"data", 1)
    sender = asyncio.create_task(asyncio.Event().wait())
    producer = SimpleNamespace(
        _message_accumulator=held,
        _sender=SimpleNamespace(sender_task=sender),
        client=SimpleNamespace(close=close),
        stop=close,
    )
    log = KafkaLog(Settings(kafka_brokers="nowhere:1"))
    log._producer = producer
    log._discard(producer)
    with pytest.raises(KafkaConnectionError, match="the producer was discarded"):
        await waiting
    with pytest.raises(asyncio.CancelledError):
        await sender
    await asyncio.gather(*log._closing)
    del held, waiting, producer
    gc.collect()  # asyncio complains when the future goes
    await asyncio.sleep(0)
    assert (said, log._producer) == ([], None)


class SlowBroker(EmbeddedLog):
    """While `slow`, a broker that takes nothing, so that one record fills the producer and the others wait in it."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.slow = False
        self.kafka = KafkaLog(Settings(kafka_brokers="nowhere:1"))
        self.kafka._producer_ready = self.producer  # type: ignore[method-assign]
        self.made = 0

    async def producer(self) -> Any:
        if self.kafka._producer is None:
            self.made += 1
            held = MessageAccumulator(ClusterMetadata(metadata_max_age_ms=1000), 600, 0, 30)

            async def close() -> None: ...

            async def send(topic: str, value: bytes, key: bytes, partition: int, headers: Any) -> Any:
                try:
                    return await held.add_message(TopicPartition(topic, partition), key, value, 30, headers=headers)
                except KafkaConnectionError as error:
                    raise KeyError(partition) from error  # as its accumulator does where a batch was under way

            self.kafka._producer = SimpleNamespace(
                send=send,
                _message_accumulator=held,
                _sender=SimpleNamespace(sender_task=asyncio.create_task(asyncio.Event().wait())),
                client=SimpleNamespace(close=close),
                stop=close,
            )
        return self.kafka._producer

    async def append(self, drafts: Sequence[Draft]) -> int:
        return await (self.kafka.append(drafts) if self.slow else super().append(drafts))


def test_of_many_publishers_before_a_slow_broker_each_is_told_that_the_outcome_is_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first deadline discards the producer in which the others wait, and aiokafka gives these a KeyError."""
    log = SlowBroker()
    with Replicas(log=log, publish_deadline_seconds=1) as replica, ThreadPoolExecutor(8) as pool:

        def publish(number: int) -> Any:
            return replica.post({"channel": "c", "data": "x" * 400}, idempotency_key=f"key-{number}")

        log.slow = True
        answers = list(pool.map(publish, range(8)))
        assert [(one.status, one.json["outcome"], one.headers["retry-after"]) for one in answers] == [
            (503, "unknown", "1")
        ] * 8
        assert log.made >= 1
        assert "Traceback" not in caplog.text
        log.slow = False
        again = list(pool.map(publish, range(8)))
        assert [one.status for one in again] == [202] * 8
        assert len({one.json["ids"][0] for one in again}) == 8
