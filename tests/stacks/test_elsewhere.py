"""A stack whose log and cache are on somebody else's servers, by TLS and with passwords: first its own, then theirs.

The servers run outside of the stack, from its own images, at an address of this host.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.structs import TopicPartition
from ansible_collections.sse.platform.tests.integration.stack import CANARY, Stack, eventually
from ansible_collections.sse.platform.tests.integration.test_host_service import docker0, free_port
from redis import Redis

USER, TOPIC, START_SECONDS = "sse", "sse-events", 90.0
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=CLIENT://{address}:{kafka},OWN://127.0.0.1:{own},CONTROLLER://127.0.0.1:{controller}
listener.security.protocol.map=CLIENT:SASL_SSL,OWN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=OWN
sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.client.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=/outside/server.pem
log.dirs=/tmp/log
auto.create.topics.enable=false
offsets.topic.replication.factor=1
"""
JAVA = "java -Xmx256m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp '/opt/kafka/libs/*'"
START_KAFKA = (
    f"{JAVA} kafka.tools.StorageTool format --cluster-id AAAAAAAAAAAAAAAAAAAAAQ -c /outside/server.properties"
    f" --add-scram 'SCRAM-SHA-512=[name={USER},password={CANARY}]'"
    f" && exec {JAVA} kafka.Kafka /outside/server.properties"
)
# As docs/external-kafka-redis.md has it.
FITTING = {
    "cleanup.policy": "delete",
    "message.timestamp.type": "LogAppendTime",
    "compression.type": "uncompressed",
    "retention.ms": "86400000",
    "max.message.bytes": "1048576",
}


class Outside:
    """A Kafka and a Redis that are not of the stack."""

    def __init__(self, stack: Stack, directory: Path) -> None:
        self.directory = directory
        directory.chmod(0o755)
        self.address = docker0()
        self.kafka, self.redis = free_port(self.address), free_port(self.address)
        self.own, controller = free_port("127.0.0.1"), free_port("127.0.0.1")
        self._certificate()
        ports = {"address": self.address, "kafka": self.kafka, "own": self.own, "controller": controller}
        self._write("server.properties", PROPERTIES.format(**ports))
        self._write("password", CANARY)
        self._write("users.acl", f"user default off\nuser {USER} on >{CANARY} ~{TOPIC}:* +@all\n")
        redis = f"--port 0 --tls-port {self.redis} --bind {self.address} --tls-auth-clients no --tls-cert-file"
        redis += " /outside/server.pem --tls-key-file /outside/server.pem --aclfile /outside/users.acl --save"
        commands = {
            "kafka": (["sh", "-c"], [START_KAFKA]),
            "redis-master": (["redis-server"], [*redis.split(), ""]),
        }
        self.containers = [
            stack.engine.containers.run(
                stack.container(short).image.id,
                command,
                entrypoint=entrypoint,
                name=f"{stack.name}-outside-{short}",
                network_mode="host",
                user="0:0",
                volumes={str(directory): {"bind": "/outside", "mode": "ro"}},
                detach=True,
            )
            for short, (entrypoint, command) in commands.items()
        ]

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(text)
        (self.directory / name).chmod(0o644)

    def _certificate(self) -> None:
        """Make a certificate for the address, which is its own authority."""
        ca, key = self.directory / "ca.pem", self.directory / "key.pem"
        asked = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=outside -addext"
        words = [*asked.split(), f"subjectAltName=IP:{self.address}", "-keyout", str(key), "-out", str(ca)]
        subprocess.run(["openssl", *words], check=True, capture_output=True)
        self._write("server.pem", key.read_text() + ca.read_text())
        key.unlink()

    @property
    def settings(self) -> dict[str, Any]:
        files = {"ca_file": "ca.pem", "password_file": "password"}
        named = {key: str(self.directory / file) for key, file in files.items()} | {"user": USER}
        return {
            "kafka_remote_servers": [f"{self.address}:{self.kafka}"],
            "kafka_remote_replication": 1,
            "redis_remote_server": f"{self.address}:{self.redis}",
            "stack_secrets": {},
            **{f"{role}_remote_{key}": value for role in ("kafka", "redis") for key, value in named.items()},
        }

    def administer(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
        async def run() -> Any:
            admin = AIOKafkaAdminClient(bootstrap_servers=f"127.0.0.1:{self.own}")
            try:
                await admin.start()
                return await work(admin)
            finally:
                await admin.close()

        return asyncio.run(run())

    def answers(self) -> bool:
        with contextlib.suppress(Exception):
            socket.create_connection(("127.0.0.1", self.own)).close()
            self.administer(lambda admin: admin.list_topics())
            return bool(self.client.ping())
        return False

    @property
    def client(self) -> Any:
        ca = str(self.directory / "ca.pem")
        return Redis(self.address, self.redis, username=USER, password=CANARY, ssl=True, ssl_ca_certs=ca)

    def make_topic(self, **settings: str) -> None:
        async def make(admin: Any) -> None:
            if TOPIC in await admin.list_topics():
                await admin.delete_topics([TOPIC])
            configuration = {**FITTING, **{name.replace("_", "."): value for name, value in settings.items()}}
            made = await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs=configuration)])
            assert [code for __, code, *__ in made.topic_errors] == [0]

        eventually(lambda: self._done(make), "the topic is made")

    def _done(self, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> bool:
        with contextlib.suppress(Exception):  # a topic that is being deleted cannot be made
            self.administer(work)
            return True
        return False

    def events(self) -> int:
        """Return how many records the log has."""
        from aiokafka import AIOKafkaConsumer  # noqa: PLC0415

        async def count() -> int:
            consumer: Any = AIOKafkaConsumer(bootstrap_servers=f"127.0.0.1:{self.own}")
            await consumer.start()
            try:
                partition = TopicPartition(TOPIC, 0)
                return int((await consumer.end_offsets([partition]))[partition])
            finally:
                await consumer.stop()

        return asyncio.run(count())

    def remove(self) -> None:
        for one in self.containers:
            one.remove(force=True)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    found = Stack("st-away", "10.94.0.0/24", 18580, app_replicas=2, network_layout="segmented")
    found.destroy()
    found.up()
    yield found
    found.destroy()


@pytest.fixture(scope="module")
def outside(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outside]:
    found = Outside(stack, tmp_path_factory.mktemp("outside"))
    try:
        eventually(found.answers, "the servers outside answer", START_SECONDS)
        yield found
    finally:
        found.remove()


def test_the_log_and_the_cache_move_to_servers_elsewhere_that_fit(
    stack: Stack, outside: Outside, tmp_path: Path
) -> None:
    # Nothing changes as long as something does not fit, and all of it is told at once.
    before = stack.ids()
    wrong = tmp_path / "wrong"
    wrong.write_text("another-password")
    settings = {**outside.settings, "redis_remote_password_file": str(wrong)}
    said = stack.fail(**settings, kafka_remote_move_allowed=True)
    for part in (
        f"there is no topic {TOPIC}",
        "expected one as made by kafka-topics.sh",
        f"let user {USER} in (WRONGPASS",
    ):
        assert part in " ".join(said.split()), said
    assert "another-password" not in said
    outside.make_topic(cleanup_policy="compact")
    said = stack.fail(**outside.settings, kafka_remote_move_allowed=True)
    assert "has cleanup.policy=compact: expected delete" in " ".join(said.split()), said
    outside.make_topic()
    said = stack.fail(**outside.settings)
    assert f"the log of all events would move from the container {stack.name}-kafka" in " ".join(said.split()), said
    assert stack.ids() == before

    # A run that is allowed to moves them. It verifies itself: events go through NGINX to each replica.
    run = stack.up(**outside.settings, kafka_remote_move_allowed=True)
    assert "4 answers from elsewhere" in run.output, run.output
    assert (
        set(stack.containers()) & {f"{stack.name}-{one}" for one in ("kafka", "redis-master", "redis-exporter")}
        == set()
    )
    assert (stack.state / "data" / f"{stack.name}-kafka").is_dir()
    counted = outside.events()
    assert stack.publish("orders", {"n": 1}).status_code in {200, 201, 202}
    assert outside.events() > counted
    assert outside.client.keys(f"{TOPIC}:*")
    assert (again := stack.play("site", **outside.settings)).unchanged, again.output

    # What goes away there is told from within each replica, also by doctor.
    redis = outside.containers[1]
    redis.stop(timeout=1)
    verified = stack.verify()
    assert verified.code != 0
    assert f"Redis at {outside.address}:{outside.redis}: no connection" in " ".join(verified.output.split())
    diagnosed = stack.play("doctor", **outside.settings)
    assert f"Redis at {outside.address}:{outside.redis}: no connection" in " ".join(diagnosed.output.split())
    redis.start()
    eventually(outside.answers, "Redis is back")
    stack.destroy()
    assert outside.events() > counted
