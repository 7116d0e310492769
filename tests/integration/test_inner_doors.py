"""Who may do what in Kafka and Redis: nobody nothing, each user only what he has the right to. Secrets are rotated."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaError,
    TopicAuthorizationFailedError,
)
from ansible_collections.sse.platform.tests.integration.canaries import Processes, hits, needles
from ansible_collections.sse.platform.tests.integration.crowd import Crowd

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

EVENTS = "sse-events"
STREAMS = 100


def secret(stack: Stack, name: str) -> str:
    return (stack.state / "secrets" / name).read_text()


def client(stack: Stack, user: str, password: str = "") -> dict[str, Any]:
    """Return the options of a client on the host; without a user it does not say who it is."""
    servers = {"bootstrap_servers": f"127.0.0.1:{stack.kafka_ports[0]}", "request_timeout_ms": 3000}
    if not user:
        return servers
    return servers | {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": user,
        "sasl_plain_password": password or secret(stack, f"kafka_{user}_password"),
    }


async def write(options: dict[str, Any], topic: str) -> None:
    async with AIOKafkaProducer(**options, acks="all") as producer:
        await producer.send_and_wait(topic, b"{}", partition=0)


async def read(options: dict[str, Any], topic: str) -> int:
    async with AIOKafkaConsumer(**options, group_id=None) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        ends = await consumer.end_offsets([TopicPartition(topic, 0)])
        return ends[TopicPartition(topic, 0)]


def redis(stack: Stack, *commands: str) -> list[str]:
    """Return the first line of each answer of Redis, at its port on the host."""
    with socket.create_connection(("127.0.0.1", stack.variables["redis_port"]), timeout=5) as connection:
        lines = connection.makefile("rb")
        found: list[str] = []
        for command in commands:
            connection.sendall(command.encode() + b"\r\n")
            found.append(lines.readline().decode().strip())
            if found[-1][:1] == "$" and found[-1] != "$-1":
                lines.read(int(found[-1][1:]) + 2)
        return found


async def test_nobody_on_the_host_publishes_or_reads(stack: Stack) -> None:
    for listener in stack.kafka_ports:
        nobody = client(stack, "") | {"bootstrap_servers": f"127.0.0.1:{listener}"}
        for attempt in (write, read):
            with pytest.raises(KafkaError):
                await attempt(nobody, EVENTS)
    with pytest.raises(KafkaError):
        await read(client(stack, "admin", "guessed"), EVENTS)
    answers = redis(stack, "PING", "KEYS *", f"SET {EVENTS}:history:x 1", "AUTH guessed", "AUTH default guessed")
    assert [one[:9] for one in answers[:3]] == ["-NOAUTH A"] * 3
    assert all(one.startswith("-WRONGPASS") for one in answers[3:])
    kept = [one.stat() for one in (stack.state / "secrets").iterdir()]
    assert {(one.st_mode & 0o777, one.st_uid) for one in kept} == {(0o600, 0)}


def test_who_does_not_say_who_it_is_takes_no_memory_of_kafka(stack: Stack) -> None:
    """Each of 700 connections announced 512 KB, which filled the heap: the broker ended."""
    before = stack.container("kafka").attrs["State"]["StartedAt"]
    with contextlib.ExitStack() as opened:
        for number in range(1100):
            one = opened.enter_context(socket.socket())
            one.settimeout(1 if number < 128 else 0.02)
            with contextlib.suppress(OSError):  # beyond the connections that the host may have, it waits
                one.connect(("127.0.0.1", stack.kafka_ports[number % 2]))
                one.sendall((2**19 - 1).to_bytes(4, "big") + b"a" * 100)
        assert stack.publish("it.inner", {"n": 2}).status_code in {200, 201, 202}
    assert stack.container("kafka").attrs["State"]["StartedAt"] == before


async def test_who_has_signed_in_takes_a_bounded_part_of_the_memory_of_kafka(stack: Stack) -> None:
    """Requests of 100 MB filled the heap from six connections, and those of 2 MB from 200: the broker ended."""
    before = stack.container("kafka").attrs["State"]["StartedAt"]
    options: dict[str, Any] = {**client(stack, "reader"), "request_timeout_ms": 1000}
    for announced, connections in ((100_000_000, 20), (2_000_000, 200)):
        async with contextlib.AsyncExitStack() as opened:
            for number in range(connections):
                options["bootstrap_servers"] = f"127.0.0.1:{stack.kafka_ports[number % 2]}"
                one = AIOKafkaClient(**options)
                try:
                    await one.bootstrap()
                except KafkaError:  # no place is left for it
                    assert number > 60
                    break
                opened.push_async_callback(one.close)
                (node,) = {broker.nodeId for broker in one.cluster.brokers()}
                assert await one.ready(node)
                writer = one._conns[node, ConnectionGroup.DEFAULT]._writer
                writer.write(announced.to_bytes(4, "big") + b"a" * 100)
                await writer.drain()
            published = await asyncio.to_thread(stack.publish, "it.inner", {"n": 3})
            assert published.status_code in {200, 201, 202}
    assert stack.container("kafka").attrs["State"]["StartedAt"] == before


async def test_each_client_on_the_host_has_its_own_rights_alone(stack: Stack) -> None:
    writer, reader = client(stack, "writer"), client(stack, "reader")
    admin = AIOKafkaAdminClient(**writer)
    await admin.start()
    try:
        created: Any = await admin.create_topics([NewTopic("own.a", 1, 1), NewTopic("foreign", 1, 1)])
        assert [code for __, code, *_ in created.topic_errors] in ([0, 29], [36, 29])
    finally:
        await admin.close()
    await write(writer, "own.a")
    assert await read(reader, EVENTS) > 0
    for attempt, who, topic in ((write, writer, EVENTS), (write, reader, EVENTS), (read, reader, "own.a")):
        with pytest.raises((TopicAuthorizationFailedError, KafkaError)):
            await attempt(who, topic)
    consumer = AIOKafkaConsumer(EVENTS, **reader, group_id="of-others")
    with pytest.raises(GroupAuthorizationFailedError):
        await consumer.start()
    await consumer.stop()


def test_the_service_and_the_exporter_have_their_own_keys_and_commands_alone(stack: Stack) -> None:
    password = secret(stack, "redis_app_password")
    answers = redis(
        stack, f"AUTH app {password}", "GET others", "CONFIG GET maxmemory", "FLUSHALL", f"GET {EVENTS}:none"
    )
    assert answers[0] == "+OK"
    assert all(one.startswith("-NOPERM") for one in answers[1:4])
    assert answers[4] == "$-1"
    exporter = redis(stack, f"AUTH exporter {secret(stack, 'redis_exporter_password')}", "INFO", f"GET {EVENTS}:none")
    assert exporter[0] == "+OK"
    assert exporter[2].startswith("-NOPERM")
    assert stack.publish("it.inner", {"n": 1}).status_code in {200, 201, 202}
    assert stack.api("/health/ready").json()["checks"] == {"kafka": "ok", "redis": "ok"}


async def test_passwords_are_rotated_under_streams_and_no_container_is_replaced_that_serves_them(stack: Stack) -> None:
    old = {name: secret(stack, name) for name in ("kafka_app_password", "redis_app_password", "kafka_reader_password")}
    values = needles(stack)
    before = {name: one for name, one in stack.ids().items() if "exporter" not in name}
    with Processes() as seen, Crowd(stack.http_port, STREAMS) as crowd:
        opened = crowd.opened
        for name in old:
            run = stack.play("rotate", asked_secret=name)
            assert run.code == 0, run.output
            assert "the new password works, and the old one does not" in run.output
            assert not crowd.wrong, (name, crowd.wrong)
            assert hits([("the output", run.output.encode())], needles(stack)) == []
        assert crowd.opened == opened
        assert crowd.cut == crowd.unsettled == 0
    assert not crowd.wrong
    assert hits(seen.places(), {f"old {name}": one for name, one in values.items()} | needles(stack)) == []
    assert {name: one for name, one in stack.ids().items() if "exporter" not in name} == before
    assert all(secret(stack, name) != value for name, value in old.items())
    with pytest.raises(KafkaError):
        await read(client(stack, "reader", old["kafka_reader_password"]), EVENTS)
    assert redis(stack, f"AUTH app {old['redis_app_password']}")[0].startswith("-WRONGPASS")
    assert (again := stack.up()).unchanged, again.output


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("kafka_ap_password", "There is no secret 'kafka_ap_password'. Did you mean 'kafka_app_password'?"),
        ("kafka_cluster_id", "kafka_cluster_id keeps its value for ever"),
        ("redis_password", "redis_password is given by you"),
    ],
)
def test_what_cannot_be_rotated_is_refused_with_the_list(stack: Stack, name: str, told: str) -> None:
    before, files = stack.ids(), sorted((one.name, one.read_text()) for one in (stack.state / "secrets").iterdir())
    run = stack.play("rotate", asked_secret=name)
    assert run.code != 0
    assert told in " ".join(run.output.split())
    assert "kafka_app_password, " in run.output
    assert stack.ids() == before
    assert sorted((one.name, one.read_text()) for one in Path(stack.state / "secrets").iterdir()) == files
