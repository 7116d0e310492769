"""A replica that rests because nobody waits there is up to date for whoever comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest
from cluster import Cluster

from sse_app import service
from sse_app.base.channels import RESERVED, exactly
from sse_app.resume.blocks import Blocks
from sse_app.resume.past import Past


def until(cluster: Cluster, happens: Callable[[], bool]) -> None:
    for _ in range(5000):
        if happens():
            return
        cluster.wait(0.001)
    pytest.fail("it does not happen within 5 s of the model's time")


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Replica 1 has just read a record, and rests while others come by replica 0."""
    monkeypatch.setattr(service, "api", SimpleNamespace(build=lambda *_: None))
    made = Cluster()
    made.wait(3)
    made.publish(0, ["a"])
    until(made, lambda: made.replicas[1].service.feed.rests)
    made.publish(0, ["a", "a", "b"])
    until(made, lambda: len(made.accepted) == 4)
    feed = made.replicas[1].service.feed
    assert feed.rests
    assert made.replicas[1].service.hub.ring.end < len(made.log.path)
    yield made
    made.close()


def test_a_new_stream_begins_after_what_was_published_before_it(cluster: Cluster) -> None:
    newest = cluster.log.path[-1].id
    cluster.subscribe(1, ["a"])
    cluster.wait(0.01)
    [subscription] = cluster.subscriptions
    assert subscription.told == [f"cursor:{newest}:{{}}"]
    cluster.publish(2, ["a"])
    cluster.wait(0.01)
    assert subscription.told[-1].startswith("message:")
    cluster.heal()


def test_a_page_of_history_has_what_was_published_before_it(cluster: Cluster) -> None:
    async def page() -> list[str]:
        one, log = cluster.replicas[1].service, cluster.replicas[1].view
        past = Past(log, one.feed, one.hub, Blocks(log, one.feed, one.hub, one.redis_history))
        found = await past.before(exactly(["a"]), 10, 10_000)
        return [str(event.cursor) for event in found.events]

    ids = cluster.loop.run_until_complete(page())
    assert ids == [node.id for node in cluster.log.path if node.channel == "a"]


def test_a_cursor_of_another_replica_is_not_waited_for(cluster: Cluster) -> None:
    cluster.subscribe(1, ["b"])
    [subscription] = cluster.subscriptions
    subscription.cut()
    subscription.cursor = cluster.accepted[-1]
    subscription.had.add(subscription.cursor)
    subscription.connect(1)
    cluster.wait(0.01)
    assert subscription.told[-1] == f"cursor:{subscription.cursor}:{{}}"


def test_a_publish_ends_the_rest_of_its_replica(cluster: Cluster) -> None:
    begun = cluster.loop.time()
    cluster.publish(1, ["a"])
    until(cluster, lambda: len(cluster.accepted) == 5)
    assert cluster.loop.time() - begun < 0.01


def test_a_stream_of_the_platforms_own_checks_keeps_no_replica_from_resting(cluster: Cluster) -> None:
    feed = cluster.replicas[1].service.feed
    cluster.subscribe(1, [f"{RESERVED}canary"])
    cluster.wait(2)  # for a second after a stream has begun, there is no long rest
    cluster.publish(0, ["a"])
    until(cluster, lambda: feed.rests)
    cluster.publish(0, [f"{RESERVED}canary"])
    begun = cluster.loop.time()
    [subscription] = cluster.subscriptions
    until(cluster, lambda: subscription.told[-1].startswith("message:"))
    assert cluster.loop.time() - begun < 0.05
    cluster.subscribe(1, ["a"])
    cluster.wait(2)
    cluster.publish(0, ["a"])
    cluster.wait(0.05)
    assert not feed.rests
    cluster.heal()
