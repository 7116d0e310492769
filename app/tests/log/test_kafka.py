"""The promise on a real broker: see broker.py."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import broker
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition
from broker import CLIENT, SETTINGS, administer
from sse_harness import Replicas, Stream, eventually

from sse_app.fanout.feed import marker

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
pytestmark = [pytest.mark.kafka, broker.needed]


def test_what_one_replica_accepts_every_replica_delivers_under_the_same_id(topic: str, channel: str) -> None:
    with Replicas(2, **SETTINGS, topic=topic) as replicas:
        streams = [replicas.stream(channel, index=index) for index in (0, 1)]
        assert all(stream.block().id for stream in streams)  # of the marker that keeps the log from being empty
        ids = [replicas.publish({"channel": channel, "data": n}, index=n % 2)[0] for n in range(20)]
        ids += replicas.publish(*({"channel": channel, "data": n} for n in range(20, 120)))
        for stream in streams:
            found = stream.events(120)
            assert [block.id for block in found] == ids
            assert [block.data for block in found] == [str(n) for n in range(120)]
        again = [replicas.post({"channel": channel, "data": 1}, index, idempotency_key="k").json for index in (0, 1, 0)]
        assert again[0] == again[1] == again[2]
        with replicas.stream(channel, ids[5], index=1) as resumed:
            assert [block.id for block in resumed.events(115)] == [*ids[6:], *again[0]["ids"]]
    with Replicas(**SETTINGS, topic=topic, ring_events=10) as later:  # a new process, and a cold resume
        with later.stream(channel, ids[5]) as resumed:
            assert [block.id for block in resumed.events(115)] == [*ids[6:], *again[0]["ids"]]
        assert later.service.metrics.resumes == {"log": 1}


def test_a_traceparent_given_to_one_replica_reaches_who_asks_at_another(topic: str, channel: str) -> None:
    with Replicas(2, **SETTINGS, topic=topic) as replicas:
        with replicas.stream(channel, index=1, trace="1") as traced, replicas.stream(channel, index=1) as plain:
            assert traced.block().id == plain.block().id
            [id_] = replicas.post({"channel": channel, "data": 1}, traceparent=TRACE).json["ids"]
            context, event = traced.events(2)
            assert (context.event, context.data, context.id) == ("traceparent", TRACE, None)
            assert (event.event, event.id) == ("message", id_)
            assert [block.id for block in plain.events(1)] == [id_]
        history = replicas.get(f"/api/v1/channels/{channel}/history", 1).json["events"]
        assert history == [{"id": id_, "event": "message", "data": "1", "traceparent": TRACE}]


def test_the_topic_has_what_durability_needs_and_the_settings_say(topic: str) -> None:
    described: list[Any] = []

    async def describe(admin: AIOKafkaAdminClient) -> None:
        described.extend(await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)]))
        described.extend(await admin.describe_topics([topic]))

    with Replicas(**SETTINGS, topic=topic, flush_messages=7):
        pass
    with Replicas(**SETTINGS, topic=topic, retention_seconds=7200):  # settings that changed since
        administer(describe)
    values = {entry[0]: entry[1] for entry in described[0].resources[0][4]}
    assert values["retention.ms"] == "7200000"
    assert values["flush.messages"] == "1"
    assert values["message.timestamp.type"] == "LogAppendTime"
    assert len(described[1]["partitions"]) == 1


def test_a_topic_with_several_partitions_is_refused(topic: str) -> None:
    administer(lambda admin: admin.create_topics([NewTopic(topic, 3, 1)]))
    with Replicas(**SETTINGS, topic=topic, wait=False) as replicas:
        eventually(lambda: "has 3 partitions" in replicas.get("/health/ready").json["checks"]["kafka"])
        assert not replicas.service.hub.open


def test_a_recreated_topic_is_told_as_a_gap_and_read_from_its_beginning(topic: str, channel: str) -> None:
    with Replicas(**SETTINGS, topic=topic) as replicas, replicas.stream(channel) as stream:
        ids = replicas.publish(*({"channel": channel, "data": n} for n in range(5)))
        assert len(stream.events(5)) == 5
        administer(lambda admin: admin.delete_topics([topic]))
        gap = stream.events(1, 30)[0]
        assert (gap.event, gap.json["requested"], gap.json["reason"]) == ("gap", ids[4], "truncated")
        eventually(lambda: replicas.post({"channel": channel, "data": "new"}, idempotency_key="k").status == 202, 20)
        assert stream.events(1)[0].data == "new"
        with replicas.stream(channel, ids[2]) as resumed:
            assert resumed.block().json["reason"] == "truncated"


def test_a_trimmed_log_gives_expired_for_what_is_gone_and_resumes_what_is_in_memory(topic: str, channel: str) -> None:
    with Replicas(**SETTINGS, topic=topic, ring_events=10) as replicas:
        ids = [replicas.publish({"channel": channel, "data": n})[0] for n in range(30)]
        partition = TopicPartition(topic, 0)
        administer(lambda admin: admin.delete_records({partition: RecordsToDelete(before_offset=20)}))
        with replicas.stream(channel, ids[3]) as resumed:
            assert resumed.block().json["reason"] == "expired"
        with replicas.stream(channel, ids[25]) as resumed:
            assert [block.id for block in resumed.events(4)] == ids[26:]


def test_a_record_of_another_producer_is_an_event_if_it_can_be_one(topic: str, channel: str) -> None:
    async def produce() -> None:
        async with AIOKafkaProducer(**CLIENT) as producer:
            for key, value, headers in [
                (b"no channel!", b"x", []),
                (channel.encode(), b"\xff", []),
                (channel.encode(), None, []),
                (channel.encode(), b"x", [("event", b"a\nb")]),
                (channel.encode(), b"x", [("event", b"gap")]),
                (channel.encode(), b"null", [("event", None), ("traceparent", None)]),
                (channel.encode(), b"plain\nid: 0", [("event", b"made"), ("traceparent", TRACE.encode())]),
            ]:
                await producer.send_and_wait(topic, value, key, partition=0, headers=headers)

    with Replicas(**SETTINGS, topic=topic) as replicas, replicas.stream(channel, trace="1") as stream:
        asyncio.run(produce())
        empty, null, traced, block = stream.events(4)
        assert (empty.data, null.event, null.data) == ("", "message", "null")
        assert (traced.event, traced.data) == ("traceparent", TRACE)
        assert (block.event, block.data) == ("made", "plain\nid: 0")
        with replicas.stream(channel, block.id) as resumed:
            assert resumed.block().id == block.id


def test_nothing_is_lost_or_doubled_while_readers_reconnect_under_publishing(topic: str, channel: str) -> None:
    with Replicas(3, **SETTINGS, topic=topic, ring_events=50) as replicas:
        published: list[str] = []

        def publish() -> None:
            for n in range(150):
                published.extend(
                    replicas.publish(*({"channel": channel, "data": n} for _ in range(1 + n % 3)), index=n % 3)
                )

        publisher = threading.Thread(target=publish)
        chance = random.Random(4)
        first = replicas.stream(channel).block()
        got: list[str | None] = []
        cursor = first.id
        publisher.start()
        while len(got) < 300:
            with Stream(replicas.ports[chance.randrange(3)], channel, cursor) as stream:
                for _ in range(chance.randrange(1, 40)):
                    if len(got) == 300:
                        break
                    block = stream.events(1)[0]
                    assert block.event == "message", block
                    got.append(block.id)
                cursor = stream.last_event_id
        publisher.join()
        assert got == published


def test_a_reconnect_of_the_client_library_is_noticed(topic: str) -> None:
    """Fails when aiokafka no longer has the connections that kafka.py looks at."""
    with Replicas(**SETTINGS, topic=topic) as replicas:
        log = replicas.service.log

        async def run() -> list[bool]:
            async with log.tail(0) as tail:
                found = [(await tail.fetch()).unbroken for _ in range(3)]
                for connection in list(tail._client._conns.values()):  # type: ignore[attr-defined]
                    connection.close()
                return [*found, *[(await tail.fetch()).unbroken for _ in range(3)]]

        assert replicas.wait(run()) == [False, True, True, False, True, True]

        async def discard() -> None:
            await log.append([marker()])
            first = log._producer  # type: ignore[attr-defined]
            log._discard(first)  # type: ignore[attr-defined]
            await log.append([marker()])
            assert first is not log._producer  # type: ignore[attr-defined]
            assert first._stopped is not None

        replicas.wait(discard())
