"""Programs on the host use what is published."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from ansible_collections.sse.platform.tests.integration.stack import ROOT, Stack, eventually


@pytest.mark.parametrize("listener", [0, 1], ids=["kafka_port", "kafka_external_port"])
async def test_a_client_on_the_host_produces_and_consumes_through_each_published_port(
    stack: Stack, listener: int
) -> None:
    admin_of_kafka: dict[str, Any] = {
        "bootstrap_servers": f"127.0.0.1:{stack.kafka_ports[listener]}",
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "admin",
        "sasl_plain_password": (stack.state / "secrets/kafka_admin_password").read_text(),
    }
    topic = f"it-{uuid.uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(**admin_of_kafka)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
        async with AIOKafkaProducer(**admin_of_kafka, acks="all") as producer:
            sent = await producer.send_and_wait(topic, b"hello", partition=0)
        consumer = AIOKafkaConsumer(**admin_of_kafka, group_id=None)
        async with consumer:
            consumer.assign([TopicPartition(topic, 0)])
            consumer.seek(TopicPartition(topic, 0), sent.offset)
            record = await consumer.getone()
        assert record.value == b"hello"
    finally:
        await admin.delete_topics([topic])
        await admin.close()


def test_the_service_keeps_its_promise_on_this_broker_and_this_redis(stack: Stack) -> None:
    """The service's own tests that need real ones: topics of their own, and a Redis each; the broker is killed, too."""
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-m", "skipif and not whole", "app/tests"],
        cwd=ROOT,
        env={
            **os.environ,
            "KAFKA_BROKERS": f"127.0.0.1:{stack.kafka_ports[0]}",
            "KAFKA_USER": "admin",
            "KAFKA_PASSWORD_FILE": str(stack.state / "secrets/kafka_admin_password"),
            "KAFKA_CONTAINER": f"{stack.name}-kafka",
            "REDIS_IMAGE": stack.container("redis-master").attrs["Image"],
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-4000:]
    assert "skipped" not in run.stdout
    eventually(stack.live_again, "the API is ready again", 60)
