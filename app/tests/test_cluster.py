"""Invariant G against an oracle: every accepted event reaches every subscriber once and in order, or a gap is said.

SSE_CLUSTER_EXAMPLES and SSE_CLUSTER_STEPS make it a soak, with a new seed each time.
"""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
from cluster import CHANNELS, REPLICAS, Cluster
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from sse_app import service
from sse_app.fanout import feed, hub
from sse_app.fanout.feed import marker
from sse_app.resume import blocks, redis_history

EXAMPLES = int(os.environ.get("SSE_CLUSTER_EXAMPLES", "0"))
PROFILE = settings(
    max_examples=EXAMPLES or 60,
    stateful_step_count=int(os.environ.get("SSE_CLUSTER_STEPS", "30")),
    derandomize=not EXAMPLES,
    deadline=None,
    database=None,
    phases=(Phase.generate,),  # to shrink takes minutes, and the oracle says enough
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
REPLICA = st.integers(0, REPLICAS - 1)
ANY = st.integers(0, 99)


class Machine(RuleBasedStateMachine):
    """What may befall a cluster."""

    def __init__(self) -> None:
        super().__init__()
        self.cluster = Cluster()
        self.snapshot: list[bytes] = []
        self.cluster.wait(1)

    # --- clients

    @rule(replica=REPLICA, channels=st.sampled_from([["a"], ["b", "x.*"], ["*"], ["x.*", "*"]]))
    @precondition(lambda self: len(self.cluster.subscriptions) < 8)
    def subscribe(self, replica: int, channels: list[str]) -> None:
        self.cluster.subscribe(replica, channels)

    @rule(which=ANY, replica=REPLICA)
    @precondition(lambda self: self.cluster.subscriptions)
    def reconnect_elsewhere(self, which: int, replica: int) -> None:
        self.cluster.subscriptions[which % len(self.cluster.subscriptions)].connect(replica)

    @rule(which=ANY)
    @precondition(lambda self: self.cluster.subscriptions)
    def cut(self, which: int) -> None:
        self.cluster.subscriptions[which % len(self.cluster.subscriptions)].cut()

    @rule(which=ANY, slow=st.booleans())
    @precondition(lambda self: self.cluster.subscriptions)
    def slow_reader(self, which: int, slow: bool) -> None:
        connection = self.cluster.subscriptions[which % len(self.cluster.subscriptions)].connection
        if connection is not None:
            (connection.slow if slow else connection.quick)()

    @rule(replica=REPLICA, channels=st.lists(st.sampled_from(CHANNELS), min_size=1, max_size=6))
    def publish(self, replica: int, channels: list[str]) -> None:
        self.cluster.publish(replica, channels)

    @rule(replica=REPLICA, count=st.integers(2, 12))
    def publish_much(self, replica: int, count: int) -> None:
        for number in range(count):
            self.cluster.publish((replica + number) % REPLICAS, CHANNELS)
            self.cluster.turn(number % 3)

    @rule(
        replica=REPLICA,
        count=st.sampled_from([1, 4, 8]),
        lost=st.sampled_from([0, 0, 0, 3, 20]),
        spoil=st.sampled_from([None, "hole", "garbage", "other"]),
    )
    @precondition(lambda self: self.cluster.subscriptions)
    def come_back_late(self, replica: int, count: int, lost: int, spoil: str | None) -> None:
        """Everybody away while much happens, even more than a ring holds."""
        for subscription in self.cluster.subscriptions:
            subscription.cut()
        if lost:
            self.damage_the_log("tail", lost)
        self.publish_much(replica, count)
        self.cluster.wait(1)
        if spoil and self.cluster.redis.records:
            self.poison_redis(lost + 7 * count, spoil)
        for number, subscription in enumerate(self.cluster.subscriptions):
            subscription.connect((replica + number) % REPLICAS)

    @rule(replica=REPLICA, lost=st.sampled_from([1, 3, 9]), count=st.sampled_from([0, 1, 6]), slow=st.booleans())
    @precondition(lambda self: self.cluster.subscriptions)
    def lose_what_some_have_not_read(self, replica: int, lost: int, count: int, slow: bool) -> None:
        """Half of the subscribers are away, or slow, while events come and are lost; they come back later."""
        late = self.cluster.subscriptions[::2]
        for subscription in late:
            if not slow:
                subscription.cut()
            elif subscription.connection is not None:
                subscription.connection.slow()
        self.publish_much(replica, 4)
        self.cluster.wait(1)
        self.damage_the_log("tail", lost)
        self.cluster.wait(2)
        self.publish_much(replica, count)
        self.cluster.wait(1)
        for number, subscription in enumerate(late):
            if subscription.connection is None:
                subscription.connect((replica + number) % REPLICAS)
            else:
                subscription.connection.quick()

    @rule(replica=REPLICA, which=ANY)
    @precondition(lambda self: self.cluster.unknown)
    def retry(self, replica: int, which: int) -> None:
        keys = sorted(self.cluster.unknown)
        self.cluster.retry(replica, keys[which % len(keys)])

    # --- time

    @rule(turns=st.integers(1, 9))
    def turn(self, turns: int) -> None:
        self.cluster.turn(turns)

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0, 2.0, 40.0]))
    def wait(self, seconds: float) -> None:
        self.cluster.wait(seconds)

    # --- replicas

    @rule(replica=REPLICA)
    def kill_and_start_again(self, replica: int) -> None:
        self.cluster.run(self.cluster.replicas[replica].down())
        self.cluster.run(self.cluster.replicas[replica].up())

    @rule(replica=REPLICA, running=st.booleans())
    def pause(self, replica: int, running: bool) -> None:
        gate = self.cluster.replicas[replica].view.running
        (gate.set if running else gate.clear)()

    @rule(replica=REPLICA, reachable=st.booleans(), losing=st.booleans(), turns=st.integers(0, 4))
    def network(self, replica: int, reachable: bool, losing: bool, turns: int) -> None:
        view = self.cluster.replicas[replica].view
        view.reachable, view.losing, view.turns = reachable, losing, turns

    # --- the log

    @rule(what=st.sampled_from(["tail", "tail", "tail and more", "head", "topic"]), count=st.integers(1, 25))
    def damage_the_log(self, what: str, count: int) -> None:
        """Lose the tail, whose offsets may be given again before anybody looks, trim the head, recreate the topic."""
        log = self.cluster.log
        if what == "topic":
            log.recreate()
        elif what == "head":
            log.trim(max(log.start, len(log.path) - count))
        else:
            log.truncate(max(log.start, len(log.path) - count))
            if what == "tail and more":
                self.cluster.run(log.append([marker() for _ in range(count)]))

    # --- Redis

    @rule(up=st.sampled_from([True, True, False]), seconds=st.sampled_from([0.0, 0.0, 0.0, 0.1, 3.0]))
    def redis(self, up: bool, seconds: float) -> None:
        self.cluster.redis.up, self.cluster.redis.seconds = up, seconds

    @rule(what=st.sampled_from(["flush", "remember", "put back"]))
    def redis_forgets(self, what: str) -> None:
        """FLUSHALL; or go back to an earlier state, as a truncated append-only file or a stale copy does."""
        if what == "flush":
            self.cluster.redis.flush()
        elif what == "remember":
            self.snapshot = list(self.cluster.redis.records)
        else:
            self.cluster.redis.records = list(self.snapshot)

    @rule(which=ANY, how=st.sampled_from(["hole", "garbage", "other"]))
    @precondition(lambda self: self.cluster.redis.records)
    def poison_redis(self, which: int, how: str) -> None:
        records = self.cluster.redis.records
        index = which % len(records)
        if how == "hole":
            del records[index]
        elif how == "garbage":
            records[index] = b"garbage"
        else:
            records[index] = records[which // 2 % len(records)]

    def teardown(self) -> None:
        try:
            self.cluster.heal()
        finally:
            self.cluster.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every bound so small that it is met all the time, and no documentation to build."""
    monkeypatch.setattr(blocks, "_BLOCK", 8)
    monkeypatch.setattr(blocks, "_READ", 20)
    monkeypatch.setattr(blocks, "_CACHE_BYTES", 8000)
    monkeypatch.setattr(redis_history, "_BATCH", 3)
    monkeypatch.setattr(feed, "_CHUNK", 5)
    monkeypatch.setattr(hub, "SWEEP_WRITES", 2)
    monkeypatch.setattr(hub, "SWEEP_RECORDS", 4)
    monkeypatch.setattr(service, "api", SimpleNamespace(build=lambda *_: None))


@pytest.mark.usefixtures("small")
def test_a_cluster_loses_nothing_and_doubles_nothing_without_saying_so() -> None:
    run_state_machine_as_test(Machine, settings=PROFILE)
