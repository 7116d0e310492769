"""What becomes of a producer that is given up, with aiokafka's own parts and no broker."""

from __future__ import annotations

import asyncio
import gc
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError
from aiokafka.producer.message_accumulator import MessageAccumulator

from sse_app.base.settings import Settings
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
