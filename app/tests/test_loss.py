"""A real broker that is stopped, killed or frozen, loses what it had written, and comes back."""

from __future__ import annotations

import io
import struct
import subprocess
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import broker
import pytest
import redis_server
from broker import CONTAINER, SETTINGS
from redis_server import RedisServer
from sse_harness import Answer, Replicas, Stream, eventually

pytestmark = [pytest.mark.kafka, broker.killable]
BACK_SECONDS = 60  # a broker that was killed first checks its log
FAULTS = [("pause", "unpause"), ("kill", "start"), ("stop", "start")]
QUICK = {**SETTINGS, "heartbeat_seconds": 1, "publish_deadline_seconds": 2}


@contextmanager
def away(fault: tuple[str, str]) -> Iterator[None]:
    """Do something to the broker, and undo it."""
    subprocess.run(["docker", fault[0], CONTAINER], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["docker", fault[1], CONTAINER], check=True, capture_output=True)


def ready(replicas: Replicas, index: int) -> int:
    return replicas.get("/health/ready", index).status


def post(replicas: Replicas, channel: str, key: str, index: int) -> Answer:
    return replicas.post({"channel": channel, "data": key}, index, idempotency_key=key)


def settle(replicas: Replicas, channel: str, key: str, index: int) -> str:
    """Repeat a publish until it is accepted; its id."""
    answers: list[Answer] = []

    def accepted() -> bool:
        answers.append(post(replicas, channel, key, index))
        assert answers[-1].status in (202, 503)
        return answers[-1].status == 202

    eventually(accepted, BACK_SECONDS)
    return answers[-1].json["ids"][0]


def beats(stream: Stream, count: int) -> None:
    """Hear heartbeats, and nothing else."""
    for _ in range(count):
        block = stream.block(10)
        assert block is not None
        assert (block.event, block.data) == ("cursor", "{}")


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault[0])
def test_without_its_broker_a_replica_refuses_publishes_keeps_its_streams_and_loses_and_doubles_nothing(
    fault: tuple[str, str], topic: str, channel: str
) -> None:
    with Replicas(2, topic=topic, **QUICK) as replicas:
        streams = [replicas.stream(channel, index=index) for index in (0, 1)]
        told = [settle(replicas, channel, f"before-{n}", n % 2) for n in range(6)]
        for stream in streams:
            assert [block.id for block in stream.events(6)] == told
        with away(fault):
            with ThreadPoolExecutor() as pool:
                keys = [f"during-{n}" for n in range(6)]
                answers = list(pool.map(lambda key: post(replicas, channel, key, int(key[-1]) % 2), keys))
            assert [(answer.status, answer.json["outcome"]) for answer in answers] == [(503, "unknown")] * 6
            for index, stream in enumerate(streams):
                beats(stream, 2)
                eventually(lambda index=index: ready(replicas, index) == 503)
                assert replicas.get("/health/live", index).status == 200
                with replicas.stream(channel, told[2], index) as resumed:  # what is in memory is served
                    assert [block.id for block in resumed.events(3)] == told[3:]
        settled = [settle(replicas, channel, key, int(key[-1]) % 2) for key in keys]
        last = settle(replicas, channel, "last", 0)
        for index, stream in enumerate(streams):
            eventually(lambda index=index: ready(replicas, index) == 200, BACK_SECONDS)
            heard = stream.events(7, BACK_SECONDS)
            assert sorted(str(block.data) for block in heard[:-1]) == keys
            assert {block.id for block in heard[:-1]} == set(settled)
            assert heard[-1].id == last
            stream.__exit__()
        assert not replicas.service.metrics.gaps


@redis_server.needed
def test_a_replica_that_starts_without_kafka_and_redis_says_so_and_heals(
    redis: RedisServer, topic: str, channel: str
) -> None:
    with Replicas(topic=topic, **QUICK) as replicas:
        [first] = replicas.publish({"channel": channel, "data": "before"})
    with ExitStack() as faults:
        faults.enter_context(redis.paused())
        faults.enter_context(away(("pause", "unpause")))
        with Replicas(wait=False, topic=topic, **QUICK, **redis.settings) as late:
            assert late.get("/health/live").status == 200
            health = late.get("/health/ready")
            assert (health.status, health.json["checks"]["redis"]) == (503, "unavailable")
            assert post(late, channel, "k", 0).json["outcome"] == "unknown"
            with late.stream(channel, first) as stream:
                assert stream.status == 200
                assert [name for name, _ in stream.block().fields] == ["retry"]
                assert stream.block() is None
            faults.close()
            eventually(lambda: late.get("/health/ready").json["status"] == "ok", BACK_SECONDS)
            with late.stream(channel, first) as stream:
                settled = settle(late, channel, "k", 0)
                assert stream.events(1)[0].id == settled


def lose_the_tail(topic: str, end: int) -> None:
    """Cut the log of a broker that is down before an offset, as a disk does that had not written its cache."""
    file = f"/var/lib/kafka/{topic}-0/{0:020}.log"
    copied = subprocess.run(["docker", "cp", f"{CONTAINER}:{file}", "-"], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(copied)) as archive:
        [member] = archive.getmembers()
        content = archive.extractfile(member)
        assert content is not None
        log = content.read()
    position = 0
    while position < len(log):  # batches: base offset, length of the rest (Kafka protocol, "Record Batch")
        base, length = struct.unpack_from(">qi", log, position)
        if base >= end:
            break
        position += 12 + length
    assert 0 < position < len(log)
    image = subprocess.run(
        ["docker", "inspect", "--format", "{{.Image}}", CONTAINER], check=True, capture_output=True, text=True
    ).stdout.strip()
    inside = [
        "docker",
        "run",
        "--rm",
        "--user",
        "0",
        "--network",
        "none",
        "--volumes-from",
        CONTAINER,
        "--entrypoint",
        "sh",
    ]
    script = f"truncate -s {position} {file} && rm -f /var/lib/kafka/recovery-point-offset-checkpoint"
    subprocess.run([*inside, image, "-c", script], check=True, capture_output=True)


def test_a_tail_that_the_broker_lost_is_told_in_the_stream_and_its_offsets_given_again_are_other_ids(
    topic: str, channel: str
) -> None:
    with Replicas(2, topic=topic, **QUICK) as replicas:
        streams = [replicas.stream(channel, index=index) for index in (0, 1)]
        ids = [settle(replicas, channel, f"lost-{n}", n % 2) for n in range(6)]
        for stream in streams:
            assert [block.id for block in stream.events(6)] == ids
        with away(("kill", "start")):
            lose_the_tail(topic, int(ids[4].split("-")[0]))
        reused = [settle(replicas, channel, f"new-{n}", n % 2) for n in range(4)]
        assert int(reused[0].split("-")[0]) <= int(ids[5].split("-")[0])
        for index, stream in enumerate(streams):
            heard = stream.events(5, BACK_SECONDS)
            assert heard[0].json == {"requested": ids[5], "resumed_from": ids[3], "reason": "truncated"}
            assert [block.id for block in heard[1:]] == reused
            with replicas.stream(channel, ids[3], index) as resumed:
                # Who was away has not heard of the loss: the marker in the log tells it.
                after = resumed.events(5)
                [gap] = [block for block in after if block.event == "gap"]
                assert (gap.json["requested"], gap.json["reason"]) == (ids[3], "truncated")
                assert [block.id for block in after if block is not gap] == reused
            with replicas.stream(channel, ids[5], index) as resumed:
                assert resumed.block().json["reason"] == "truncated"
            stream.__exit__()
