"""The sequence in Redis serves resumes as long as a reader can check it; its loss or corruption costs only time."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis_server
from cluster import FakeRedis
from redis.asyncio import Redis
from redis_server import PASSWORD, RedisServer
from sse_harness import Replicas, eventually

from sse_app.fanout.ring import Entry
from sse_app.log.cursor import Cursor
from sse_app.resume import blocks as blocks_module
from sse_app.resume.redis_sequence import Capacity, RedisSequence, mark, pack, unpack

pytestmark = redis_server.needed


def record(offset: int, log: int = 0, size: int = 10, timestamp: int = 1) -> bytes:
    return pack(offset, Entry(Cursor(offset, f"{log:08x}"), timestamp, "c", b"x" * size))


async def test_the_scripts_do_what_the_model_of_the_cluster_test_does(redis: RedisServer) -> None:
    """Appends of several replicas, in any order and of two logs: no range ever mixes two or has a hole."""
    chance = random.Random(7)
    async with Redis(port=redis.port, password=PASSWORD) as client:
        real, model = RedisSequence(client, "test"), RedisSequence(FakeRedis(), "test")
        capacity = Capacity(20, 2000, 60)
        for _ in range(300):
            start, log = chance.randrange(1, 30), chance.randrange(2)
            # two logs that part at offset 15
            records = [record(n, log if n >= 15 else 0) for n in range(start, start + chance.randrange(1, 6))]
            before = start - 1
            previous = mark(before, Entry(Cursor(before, f"{log if before >= 15 else 0:08x}"), 1, "c", None))
            arguments = [(before, start, start + 5, chance.randrange(start, 35)), (start, before, 40, start)]
            for sequence in (real, model):
                await sequence.append(previous, records, capacity, 1)
            for asked in arguments:
                assert list(await real.range(*asked)) == list(await model.range(*asked))
            held = await client.lrange("test:sequence", 0, -1)
            offsets = [int(one.split(b"-")[0]) for one in held]
            assert offsets == list(range(offsets[0], offsets[0] + len(offsets)))
            fingerprints = [one.split(b" ")[0].split(b"-")[1] for one in held if int(one.split(b"-")[0]) >= 15]
            assert len(set(fingerprints)) <= 1
            assert len(held) <= 20
            assert int(await client.get("test:sequence:bytes")) == sum(map(len, held)) <= 2000


async def test_it_is_bounded_in_number_bytes_and_time(redis: RedisServer) -> None:
    async with Redis(port=redis.port, password=PASSWORD) as client:
        sequence = RedisSequence(client, "test")

        async def kept(capacity: Capacity, now: int, **record_: int) -> int:
            await client.flushall()
            await sequence.append(b"", [record(n, **record_) for n in range(50)], capacity, now)
            assert 0 < await client.ttl("test:sequence") <= 60
            assert 0 < await client.ttl("test:sequence:bytes") <= 60
            return await client.llen("test:sequence")

        assert await kept(Capacity(7, 10**6, 60), 1) == 7
        assert await kept(Capacity(100, 1000, 60), 1, size=175) == 5
        assert await kept(Capacity(100, 10**6, 60), 60_000, timestamp=1) == 50
        assert await kept(Capacity(100, 10**6, 60), 60_002, timestamp=1) == 1


async def test_an_answer_is_bounded_in_bytes(redis: RedisServer) -> None:
    async with Redis(port=redis.port, password=PASSWORD) as client:
        sequence = RedisSequence(client, "test")
        for n in range(0, 200, 50):
            records = [record(k, size=50_000) for k in range(n, n + 50)]
            await sequence.append(
                mark(n - 1, Entry(Cursor(n - 1, "0" * 8), 1, "c", None)), records, Capacity(999, 2**30, 60), 1
            )
        found = await sequence.range(0, 0, 199, 199)
        assert len(found) == 1 + 50
        assert unpack(found, Cursor(199, "0" * 8)) is not None


@pytest.mark.parametrize(
    "found",
    [
        [], [b""], [b"garbage"], [record(9)], [record(8, 1), record(1), record(2)], [record(8), record(1), record(3)],
        [record(8), record(1), b"garbage"], [record(8), b"2-00000000 x c \n"], [record(8), b"\xff"],
    ],
)  # fmt: skip
def test_a_range_that_does_not_fit_is_refused(found: list[bytes]) -> None:
    assert not unpack(found, Cursor(8, "0" * 8))


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "_CACHE_BYTES", 0)  # every resume asks anew
    monkeypatch.setattr(blocks_module, "_BLOCK", 20)


@pytest.fixture
def replicas(redis: RedisServer, blocks: None) -> Iterator[Replicas]:
    with Replicas(2, ring_events=10, **redis.settings) as started:
        eventually(lambda: all(service.redis_history.state == "ok" for service in started.services))
        yield started


def publish(replicas: Replicas, channel: str, count: int) -> list[str]:
    """Every third with a duplicate, which is dropped."""
    found: list[str] = []
    for n in range(count):
        for _ in range(1 + (n % 3 == 0)):
            answer = replicas.post({"channel": channel, "data": str(n)}, n % 2, idempotency_key=f"{channel}{n}")
        found += answer.json["ids"]
    return found


def resumed(replicas: Replicas, channel: str, ids: list[str]) -> list[str]:
    """Sources from which each replica resumed everything after the first of the ids."""
    sources: list[str] = []
    for index, service in enumerate(replicas.services):
        before = service.metrics.resumes.copy()
        with replicas.stream(channel, ids[0], index) as stream:
            assert [block.id for block in stream.events(len(ids) - 1)] == ids[1:]
            replicas.publish({"channel": channel, "data": "live"})
            assert stream.events(1)[0].data == "live"
        sources += (service.metrics.resumes - before).keys()
    return sources


def test_a_cursor_older_than_the_ring_is_resumed_from_redis_also_while_the_log_is_away(
    replicas: Replicas, channel: str
) -> None:
    ids = publish(replicas, channel, 60)
    eventually(lambda: all(not service.redis_history._pending for service in replicas.services))
    replicas.log.available = False
    for index in (0, 1):
        with replicas.stream(channel, ids[0], index) as stream:
            assert [block.id for block in stream.events(59)] == ids[1:]
    assert [service.metrics.resumes for service in replicas.services] == [{"redis": 1}] * 2


def without_the_middle(client: Any) -> None:
    client.lset("sse-events:sequence", 30, b"gone")
    client.lrem("sse-events:sequence", 1, b"gone")


def of_another_log(client: Any) -> None:
    for n in range(client.llen("sse-events:sequence")):
        head, _, rest = client.lindex("sse-events:sequence", n).partition(b" ")
        client.lset("sse-events:sequence", n, head.split(b"-")[0] + b"-0badcafe " + rest)


@pytest.mark.parametrize(
    "damage",
    [
        lambda client: client.flushall(),
        lambda client: client.ltrim("sse-events:sequence", 0, -40),  # as a truncated append-only file
        lambda client: client.ltrim("sse-events:sequence", 40, -1),
        lambda client: client.set("sse-events:sequence", "poison"),
        lambda client: client.lset("sse-events:sequence", -1, "poison"),
        lambda client: client.lset("sse-events:sequence", 5, "poison"),
        lambda client: client.delete("sse-events:sequence:bytes"),
        without_the_middle,
        of_another_log,
    ],
    ids=["flushed", "tail lost", "head lost", "type", "end", "record", "size", "hole", "log"],
)
def test_whatever_becomes_of_redis_nothing_is_lost_or_doubled(
    replicas: Replicas, redis: RedisServer, channel: str, damage: Callable[[Any], object]
) -> None:
    ids = publish(replicas, channel, 60)
    eventually(lambda: all(not service.redis_history._pending for service in replicas.services))
    damage(redis.client)
    resumed(replicas, channel, ids)
    ids = publish(replicas, f"{channel}.after", 60)  # and it heals: what is written since is served from there again
    eventually(lambda: all(not service.redis_history._pending for service in replicas.services))
    assert resumed(replicas, f"{channel}.after", ids) == ["redis", "redis"]


def test_a_redis_that_does_not_answer_delays_a_resume_and_nothing_else(
    replicas: Replicas, redis: RedisServer, channel: str
) -> None:
    ids = publish(replicas, channel, 60)
    eventually(lambda: all(not service.redis_history._pending for service in replicas.services))
    with redis.paused():
        assert resumed(replicas, channel, ids) == ["log", "log"]
    eventually(lambda: all(service.redis_history.state == "ok" for service in replicas.services))


def test_a_killed_redis_comes_back_with_what_its_file_holds_and_is_trusted_only_where_it_fits(
    replicas: Replicas, redis: RedisServer, channel: str
) -> None:
    ids = publish(replicas, channel, 30)
    eventually(lambda: all(not service.redis_history._pending for service in replicas.services))
    redis.stop()
    [file] = redis.directory.glob("appendonlydir/*.incr.aof")
    with file.open("r+b") as written:
        written.truncate(file.stat().st_size - 700)
    ids += publish(replicas, f"{channel}", 60)[30:]
    assert resumed(replicas, channel, ids) == ["log", "log"]
    redis.start()
    eventually(lambda: all(service.redis_history.state == "ok" for service in replicas.services))
    resumed(replicas, channel, ids)
