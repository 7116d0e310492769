"""One replica writes to Redis, and whatever becomes of it, Redis has no hole that a reader would not find."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import cluster as cluster_module
import pytest
from cluster import REPLICAS, Cluster, FakeRedis

from sse_app import service


class Watched(FakeRedis):
    """Counts what is written."""

    appends = 0

    def _append(self, *arguments: Any) -> None:
        self.appends += 1
        super()._append(*arguments)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.setattr(service, "api", SimpleNamespace(build=lambda *_: None))
    monkeypatch.setattr(cluster_module, "FakeRedis", Watched)
    made = Cluster()
    made.wait(3)
    yield made
    made.close()


def writers(cluster: Cluster) -> list[int]:
    return [n for n in range(REPLICAS) if cluster.replicas[n].service.redis_history._leads]


def publish(cluster: Cluster, count: int, every: float = 0.0) -> None:
    for n in range(count):
        cluster.publish(n % REPLICAS, ["a"])
        cluster.wait(every)


def held(cluster: Cluster) -> list[int]:
    return [int(record.split(b"-")[0]) for record in cluster.redis.records]


def test_one_replica_writes_records_together_and_the_others_keep_nothing_that_redis_holds(cluster: Cluster) -> None:
    assert len(writers(cluster)) == 1
    before = cluster.redis.appends  # type: ignore[attr-defined]
    publish(cluster, 30, every=0.001)
    cluster.wait(3)
    assert cluster.redis.appends - before <= 3  # type: ignore[attr-defined]
    end = len(cluster.log.path)
    assert held(cluster)[-30:] == list(range(end - 30, end))
    assert not any(replica.service.redis_history._pending for replica in cluster.replicas)


def test_records_that_keep_coming_are_written_together_too(cluster: Cluster) -> None:
    cluster.redis.seconds = 0.005  # so that the next record is there before the last one is written
    before = cluster.redis.appends  # type: ignore[attr-defined]
    publish(cluster, 200, every=0.005)
    cluster.wait(3)
    assert cluster.redis.appends - before <= 25  # type: ignore[attr-defined]
    end = len(cluster.log.path)
    assert held(cluster)[-30:] == list(range(end - 30, end))


def test_when_the_writer_dies_another_one_goes_on_without_a_hole(cluster: Cluster) -> None:
    publish(cluster, 5)
    cluster.wait(1)
    [writer] = writers(cluster)
    begin = held(cluster)[0]
    cluster.run(cluster.replicas[writer].down())
    for n in range(6):  # nobody writes yet
        cluster.publish((writer + 1 + n % 2) % REPLICAS, ["a"])
        cluster.wait(0.1)
    newest = held(cluster)[-1]
    cluster.wait(5)
    assert newest < len(cluster.log.path) - 6 <= held(cluster)[-1]
    assert held(cluster) == list(range(begin, len(cluster.log.path)))
    cluster.run(cluster.replicas[writer].up())
    cluster.wait(2)
    assert len(writers(cluster)) == 1


def test_a_writer_that_has_slept_writes_beside_the_next_one_and_spoils_nothing(cluster: Cluster) -> None:
    publish(cluster, 5)
    cluster.wait(1)
    [writer] = writers(cluster)
    begin = held(cluster)[0]
    for replica in cluster.replicas:
        replica.service.redis_history._leads = True
    publish(cluster, 20, every=0.01)
    cluster.wait(5)
    assert held(cluster) == list(range(begin, len(cluster.log.path)))
    assert writers(cluster) == [writer]


def test_after_flushall_the_sequence_begins_anew_and_older_records_come_from_the_log(cluster: Cluster) -> None:
    cluster.subscribe(0, ["a"])
    publish(cluster, 5)
    cluster.wait(1)
    [subscription] = cluster.subscriptions
    subscription.cut()
    publish(cluster, 15)
    cluster.wait(1)
    cluster.redis.flush()
    publish(cluster, 15)
    cluster.wait(5)
    assert held(cluster) == list(range(len(cluster.log.path) - 15, len(cluster.log.path)))
    for replica in range(REPLICAS):
        before = cluster.replicas[replica].service.metrics.resumes.copy()
        cursor, seen = subscription.cursor, dict(subscription.seen)
        subscription.connect(replica)
        cluster.wait(1)
        assert (cluster.replicas[replica].service.metrics.resumes - before) == {"log": 1}
        subscription.cut()
        subscription.cursor, subscription.seen = cursor, seen
    subscription.connect(0)
    cluster.heal()
