"""What becomes of the publishes that wait for Kafka, with a client that answers as a test says, and no broker."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NotLeaderForPartitionError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from aiokafka.record.memory_records import MemoryRecords
from cluster import Loop
from sse_harness import Replicas

from sse_app.base.event import NAME, Event
from sse_app.base.settings import Settings
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Draft, LogUnavailableError, TooLargeError
from sse_app.log.kafka import KafkaLog
from sse_app.log.kafka_tail import decoded
from sse_app.log.kafka_writer import KafkaWriter

PARTITION = TopicPartition("topic", 0)


class Broker:
    """The client of aiokafka, as far as a writer uses it; it stores what it takes while it is not `held`."""

    def __init__(self) -> None:
        self.batches: list[list[Draft]] = []
        self.errors: list[type[KafkaError]] = []  # the next answers
        self.refreshed = 0
        self.free = asyncio.Event()
        self.free.set()
        self.closed = False
        self.cluster = SimpleNamespace(leader_for_partition=lambda _: 1)

    async def send(self, _: int, request: Any) -> Any:
        await self.free.wait()
        [(name, [(number, content)])] = request._topics
        assert (name, number, request._required_acks) == ("topic", 0, -1)
        if self.errors:
            error = self.errors.pop(0)
            return SimpleNamespace(topics=[(name, [(number, error.errno, -1, -1, -1)])])
        offset, unpacked = sum(map(len, self.batches)), MemoryRecords(content)
        batch = unpacked.next_batch()
        assert batch.validate_crc()
        self.batches.append([decoded(message).draft for message in batch])
        assert not unpacked.has_next()
        return SimpleNamespace(topics=[(name, [(number, 0, offset, -1, 0)])])

    def force_metadata_update(self) -> None:
        self.refreshed += 1

    async def _maybe_wait_metadata(self) -> None: ...

    async def close(self) -> None:
        self.closed = True


def draft(number: int, size: int = 10) -> Draft:
    return Draft(b"key-%d" % number, f"channel.{number}", "event", b"x" * size, b"12345678", "")


def writer(broker: Any, most_bytes: int = 10_000, seconds: float = 30) -> KafkaWriter:
    return KafkaWriter(broker, PARTITION, most_bytes, seconds)


async def begun(awaitable: Any) -> asyncio.Task[Any]:
    task = asyncio.ensure_future(awaitable)
    for _ in range(5):
        await asyncio.sleep(0)
    return task


async def test_what_comes_while_a_request_is_under_way_goes_together_in_the_next() -> None:
    broker = Broker()
    made = writer(broker)
    broker.free.clear()
    first = await begun(made.append([draft(0)]))
    others = [await begun(made.append([draft(n), draft(n + 1)])) for n in (1, 3, 5)]
    broker.free.set()
    assert [await first, *[await one for one in others]] == [0, 1, 3, 5]
    assert [[one.key for one in batch] for batch in broker.batches] == [
        [b"key-0"],
        [b"key-%d" % n for n in range(1, 7)],
    ]
    assert broker.batches[1][0] == draft(1)
    assert await made.append([draft(7)]) == 7  # alone, and at once


async def test_no_name_that_a_publish_may_have_is_no_event_when_it_is_read() -> None:
    """All of Unicode, in names of 200 characters; what joins or hides characters is part of names that people write."""
    broker = Broker()
    made = writer(broker, 2**20)
    every = [chr(one) for one in (*range(0xD800), *range(0xE000, 0x110000)) if NAME.fullmatch(chr(one))]
    names = ["".join(every[start : start + 200]) for start in range(0, len(every), 200)]
    assert len(names) > 5000
    for start in range(0, len(names), 500):
        events = [Event(channel="a", event=name, data=1) for name in names[start : start + 500]]
        await made.append([Draft(one.event.encode(), one.channel, one.event, b"1", b"12345678") for one in events])
    assert [(one.channel, one.event) for batch in broker.batches for one in batch] == [("a", name) for name in names]


class Slow(Broker):
    """Takes so many seconds for a request."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    async def send(self, leader: int, request: Any) -> Any:
        await asyncio.sleep(self.seconds)
        return await super().send(leader, request)


def published(publishers: int, each: int, broker: Broker, size: int = 10) -> float:
    """Seconds in which so many publishers publish, each of which waits for the answer; they answer after 0.3 ms."""
    loop = Loop()

    async def publish(made: KafkaWriter, number: int) -> None:
        for _ in range(each):
            await made.append([draft(number, size)])
            await asyncio.sleep(0.0003 * (1 + number % 3))

    async def all_of_them() -> float:
        made = writer(broker)
        await asyncio.gather(*(publish(made, number) for number in range(publishers)))
        return loop.time()

    try:
        return loop.run_until_complete(all_of_them())
    finally:
        loop.close()


def test_publishers_that_come_back_at_once_share_a_request() -> None:
    broker = Slow(0.002)
    published(8, 200, broker)
    assert len(broker.batches) < 1600 / 6


@pytest.mark.parametrize("publishers", [5, 16])
def test_publishers_that_wait_for_answers_are_answered_nearly_as_soon_as_the_broker_does(publishers: int) -> None:
    """A wait for more of them would only lower their rate: they all wait already."""
    took = published(publishers, 400, Slow(0.004))
    assert took < 400 * (0.004 + 0.0009) * 1.4


def test_publishes_that_had_no_place_in_a_request_did_not_come_while_it_was_under_way() -> None:
    """Two of these fit into a request, so four publishers who wait for answers need two requests each time."""
    assert published(4, 400, Slow(0.004), size=3000) < 800 * (0.004 + 0.0009) * 1.4


def test_publishes_that_come_evenly_wait_for_each_other_and_save_requests() -> None:
    broker, loop = Slow(0.004), Loop()
    late = list[float]()

    async def publish(made: KafkaWriter, number: int) -> None:
        begun = loop.time()
        await made.append([draft(number)])
        late.append(loop.time() - begun)

    async def all_of_them() -> None:
        made = writer(broker)
        async with asyncio.TaskGroup() as tasks:
            for number in range(1000):
                tasks.create_task(publish(made, number))
                await asyncio.sleep(0.003)

    try:
        loop.run_until_complete(all_of_them())
    finally:
        loop.close()
    assert len(broker.batches) < 1000 / 3.5  # with no wait, two requests take three
    assert max(late) < 0.01 + 2 * 0.004 + 0.001


@pytest.mark.parametrize("publishers", [1, 2])
def test_one_publisher_or_two_that_wait_for_each_answer_are_not_held_up(publishers: int) -> None:
    assert published(publishers, 100, Slow(0.002)) < 100 * (0.002 * publishers + 0.001)


async def test_a_batch_is_bounded_and_a_publish_is_never_divided() -> None:
    broker = Broker()
    made = writer(broker, 2000)
    broker.free.clear()
    first = await begun(made.append([draft(0)]))
    others = [await begun(made.append([draft(n, 300), draft(n + 1, 300)])) for n in (1, 3, 5)]
    with pytest.raises(TooLargeError, match="more than 2000 bytes"):
        await made.append([draft(9, 1500), draft(10, 1500)])
    broker.free.set()
    assert [await first, *[await one for one in others]] == [0, 1, 3, 5]
    assert [len(batch) for batch in broker.batches] == [1, 2, 2, 2]


async def test_what_may_be_repeated_is_and_another_error_is_told_to_the_whole_batch() -> None:
    broker = Broker()
    made = writer(broker)
    broker.errors = [NotLeaderForPartitionError, RequestTimedOutError]
    assert await made.append([draft(0)]) == 0
    assert broker.refreshed >= 1
    broker.free.clear()
    first = await begun(made.append([draft(1)]))
    others = [await begun(made.append([draft(n)])) for n in (2, 3)]
    broker.errors = [NotLeaderForPartitionError, TopicAuthorizationFailedError]
    broker.free.set()
    with pytest.raises(TopicAuthorizationFailedError):
        await first
    assert [await one for one in others] == [1, 2]


async def test_a_batch_that_is_late_is_not_repeated() -> None:
    broker = Broker()
    broker.errors = [NotLeaderForPartitionError] * 10
    with pytest.raises(NotLeaderForPartitionError):
        await writer(broker, seconds=-1).append([draft(0)])
    assert len(broker.errors) == 9


async def test_a_new_password_does_not_lose_what_waits() -> None:
    broker = Broker()
    made = writer(broker)
    broker.free.clear()
    waiting = [await begun(made.append([draft(n)])) for n in range(3)]
    finishing = await begun(made.finish())
    assert not broker.closed
    broker.free.set()
    await finishing
    assert broker.closed
    assert [await one for one in waiting] == [0, 1, 2]


async def test_a_producer_that_is_discarded_fails_what_it_holds_and_leaves_nothing_for_the_log_to_complain_of() -> None:
    said: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: said.append(context["message"]))
    broker: Any = Broker()
    broker.free.clear()
    log = KafkaLog(Settings(kafka_brokers="nowhere:1"))
    log._producer = made = writer(broker)
    under_way = await begun(log.append([draft(0)]))
    waiting = await begun(log.append([draft(1)]))
    gone = await begun(log.append([draft(2)]))
    gone.cancel()  # as a deadline does
    for task in (under_way, waiting):
        with pytest.raises(LogUnavailableError, match="the producer was discarded"):
            await task
    with pytest.raises(asyncio.CancelledError):
        await gone
    with pytest.raises(KafkaConnectionError, match="the producer was discarded"):
        await made.append([draft(3)])
    await asyncio.gather(*log._closing)
    assert (broker.closed, broker.batches, log._producer) == (True, [], None)
    del made, under_way, waiting, gone
    gc.collect()  # asyncio complains when a future goes of which nobody has looked at the error
    await asyncio.sleep(0)
    assert said == []


class SlowBroker(EmbeddedLog):
    """While `slow`, a broker that answers nothing, so that one record is under way and the others wait."""

    def __init__(self) -> None:
        super().__init__(1000)
        self.slow = False
        self.kafka = KafkaLog(Settings(kafka_brokers="nowhere:1"))
        self.kafka._producer_ready = self.producer  # type: ignore[method-assign]
        self.made = 0

    async def producer(self) -> KafkaWriter:
        if self.kafka._producer is None:
            self.made += 1
            broker: Any = Broker()
            broker.free.clear()
            self.kafka._producer = writer(broker, 600)
        return self.kafka._producer

    async def append(self, drafts: Sequence[Draft]) -> int:
        return await (self.kafka.append(drafts) if self.slow else super().append(drafts))


def test_of_many_publishers_before_a_slow_broker_each_is_told_that_the_outcome_is_unknown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The first deadline discards the producer in which the others wait."""
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
