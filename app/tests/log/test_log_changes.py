"""What a broker may do to its log: lose its tail, be recreated, be trimmed, go away and come back."""

from __future__ import annotations

import pytest
import redis_server
from redis_server import RedisServer
from sse_harness import Replicas, eventually

from sse_app.log.cursor import Cursor
from sse_app.log.embedded import EmbeddedLog
from sse_app.log.interface import Bounds, Draft
from sse_app.resume.redis_history import RedisHistory


def test_a_truncated_tail_is_told_in_the_live_stream_which_goes_on_at_the_first_difference(channel: str) -> None:
    with Replicas() as replica, replica.stream(channel) as stream:
        ids = replica.publish(*({"channel": channel, "data": str(n)} for n in range(5)))
        assert len(stream.events(5)) == 5
        replica.call(lambda: replica.log.truncate(4))  # the last two are lost
        gap = stream.events(1)[0]
        assert (gap.event, gap.id) == ("gap", ids[2])
        assert gap.json == {"requested": ids[4], "resumed_from": ids[2], "reason": "truncated"}
        reused = replica.publish(*({"channel": channel, "data": f"new {n}"} for n in range(3)))
        assert [(block.data, block.id) for block in stream.events(3)] == [
            (f"new {n}", id_) for n, id_ in enumerate(reused)
        ]
        assert stream.silent()  # it was told already, and is not told again by the marker
        for lost in ids[3:]:
            with replica.stream(channel, lost) as resumed:  # goes on at the cut, because what came since then is valid
                assert resumed.block().json == {"requested": lost, "resumed_from": ids[2], "reason": "truncated"}
                assert [block.id for block in resumed.events(3)] == reused
        with replica.stream(channel, ids[2]) as resumed:  # it was away: the marker tells it
            told, *events = resumed.events(4)
            assert (told.event, told.json["requested"], told.json["reason"]) == ("gap", ids[2], "truncated")
            assert [block.id for block in events] == reused
        with replica.stream(channel, reused[1]) as resumed:
            assert [block.id for block in resumed.events(1)] == reused[2:]


def test_offsets_reused_before_the_replica_looks_again_are_noticed_by_their_fingerprints(channel: str) -> None:
    with Replicas() as replica, replica.stream(channel) as stream:
        replica.publish(*({"channel": channel, "data": str(n)} for n in range(5)))
        assert len(stream.events(5)) == 5

        async def meanwhile() -> None:
            other = [
                record.draft._replace(key=b"other%d" % n, data=b"other")
                for n, record in enumerate(await replica.log.read(2, 9))
            ]
            replica.log.truncate(2)
            await replica.log.append(other + other[:2])

        replica.wait(meanwhile())
        assert stream.events(1)[0].event == "gap"
        assert [block.data for block in stream.events(4)] == ["other"] * 4  # the last two are duplicates by key
        assert stream.silent()


def test_a_recreated_topic_gets_a_marker_and_every_old_cursor_a_gap(channel: str) -> None:
    with Replicas() as replica, replica.stream(channel) as stream:
        ids = replica.publish(*({"channel": channel, "data": str(n)} for n in range(5)))
        assert len(stream.events(5)) == 5
        replica.call(replica.log.recreate)
        assert stream.events(1)[0].event == "gap"
        eventually(lambda: replica.service.hub.open)
        replica.publish({"channel": channel, "data": "new"})
        assert stream.events(1)[0].data == "new"
        with replica.stream(channel, ids[4]) as resumed:
            assert resumed.block().json["reason"] == "truncated"


def test_a_replica_that_missed_trimmed_records_ends_its_streams_so_that_each_gets_its_gap(channel: str) -> None:
    with Replicas() as replica, replica.stream(channel) as stream:
        [cursor] = replica.publish({"channel": channel, "data": "seen"})
        assert stream.events(1)

        async def meanwhile() -> None:
            [seen] = await replica.log.read(1, 1)
            await replica.log.append([seen.draft._replace(key=b"%d" % n) for n in range(10)])
            replica.log.trim(8)
            replica.log.generation += 1

        replica.wait(meanwhile())
        assert stream.block() is None
        with replica.stream(channel, cursor) as resumed:
            assert resumed.block().json["reason"] == "expired"
            replica.publish({"channel": channel, "data": "after"})
            assert resumed.events(1)[0].data == "after"


def test_a_log_that_goes_away_and_comes_back_loses_nothing_live(channel: str) -> None:
    with Replicas(heartbeat_seconds=1) as replica, replica.stream(channel) as stream:
        stream.block()
        replica.log.available = False
        eventually(lambda: replica.get("/health/ready").status == 503)
        assert stream.block(3).event == "cursor"  # heartbeats go on
        replica.log.available = True
        eventually(lambda: replica.get("/health/ready").status == 200)
        [id_] = replica.publish({"channel": channel, "data": 1})
        assert stream.events(1)[0].id == id_
        assert not replica.service.metrics.gaps


@pytest.mark.parametrize("kind", ["embedded", "kafka"])
def test_a_replica_that_starts_without_its_log_says_so_and_sends_streams_elsewhere(channel: str, kind: str) -> None:
    log, brokers = EmbeddedLog(1000), ""
    log.available = False
    if kind == "kafka":
        brokers = "127.0.0.1:1"  # nothing listens there
    with Replicas(log=None if brokers else log, wait=False, kafka_brokers=brokers) as replica:
        health = replica.get("/health/ready")
        assert (health.status, health.json["status"]) == (503, "unavailable")
        assert replica.get("/health/live").status == 200
        with replica.stream(channel) as stream:
            assert stream.status == 200
            assert [name for name, _ in stream.block().fields] == ["retry"]
            assert stream.block() is None
        answer = replica.post({"channel": channel, "data": 1})
        assert (answer.status, answer.json["outcome"]) == (503, "unknown")
        if not brokers:
            log.available = True
            eventually(lambda: replica.get("/health/ready").status == 200)
            replica.publish({"channel": channel, "data": 1})


def test_a_quiet_log_gets_a_marker_before_retention_could_empty_it(channel: str) -> None:
    with Replicas(retention_seconds=60) as replica:
        assert replica.service.feed.window._milliseconds == 60_000  # otherwise such a log could serve no resume
        end = replica.service.hub.ring.end
        replica.call(lambda: setattr(replica.service.feed, "_marker_due", 0.0))
        eventually(lambda: replica.service.hub.ring.end == end + 1)
        assert replica.service.metrics.events == 0


def restarted(log: EmbeddedLog) -> EmbeddedLog:
    """The same records for replicas of another loop."""
    again = EmbeddedLog(1000)
    again._records = log._records
    return again


def newest(redis: RedisServer) -> str:
    return (redis.client.lindex("sse-events:sequence", -1) or b"").decode()


class Growing(EmbeddedLog):
    """A log to which another replica appends a record each time right after somebody has asked for its bounds."""

    async def bounds(self) -> Bounds:
        found = await super().bounds()
        if len(self._records) < 5:
            await self.append([Draft(b"%d" % len(self._records), "another", "message", b"{}", b"")])
        return found


@pytest.mark.parametrize("lost", [False, True])
def test_a_record_that_another_replica_reads_while_this_one_starts_is_no_loss(
    channel: str, monkeypatch: pytest.MonkeyPatch, lost: bool
) -> None:
    log = Growing(1000)

    async def remembered(_: object, __: int | None = None) -> Cursor:
        newest = log._records[-1]
        return Cursor(1000, "00000000") if lost else Cursor(newest.offset, newest.fingerprint)

    monkeypatch.setattr(RedisHistory, "recall", remembered)
    with Replicas(log=log) as replica:
        assert replica.publish({"channel": channel, "data": 1})
        assert bool(replica.service.feed.cuts) == lost


@redis_server.needed
@pytest.mark.parametrize("lost", [1, 2, 4])
def test_a_tail_lost_while_no_replica_ran_is_told_by_what_redis_remembers(
    redis: RedisServer, channel: str, lost: int
) -> None:
    log = EmbeddedLog(1000)
    with Replicas(log=log, **redis.settings) as replica:
        ids = replica.publish(*({"channel": channel, "data": str(n)} for n in range(5)))
        eventually(lambda: newest(redis).startswith(ids[4]))
    log = restarted(log)
    log.truncate(6 - lost)
    kept = ids[4 - lost]
    with Replicas(2, log=log, **redis.settings) as replicas:
        new = replicas.publish(*({"channel": channel, "data": f"new {n}"} for n in range(3)))
        for index in range(2):
            with replicas.stream(channel, kept, index=index) as resumed:
                told, *events = resumed.events(4)
                assert (told.event, told.json["requested"], told.json["reason"]) == ("gap", kept, "truncated")
                assert [block.id for block in events] == new
            with replicas.stream(channel, new[0], index=index) as resumed:
                assert [block.id for block in resumed.events(2)] == new[1:]  # it came after the loss
                assert resumed.silent()


@redis_server.needed
def test_no_loss_is_told_where_redis_remembers_what_the_log_holds_or_less(redis: RedisServer, channel: str) -> None:
    log = EmbeddedLog(1000)
    for _ in range(2):
        log = restarted(log)
        with Replicas(log=log, **redis.settings) as replica:
            [first] = replica.publish({"channel": channel, "data": 1})
            eventually(lambda id_=first: newest(redis).startswith(id_))
            assert replica.service.feed.cuts == []
    redis.stop()
    log = restarted(log)
    with Replicas(log=log, **redis.settings) as replica:
        assert replica.publish({"channel": channel, "data": 1})
        assert replica.service.feed.cuts == []
    redis.start()
    with Replicas(
        log=restarted(log), **redis.settings
    ) as replica:  # Redis has missed the end, and knows of nothing that is lost
        assert replica.publish({"channel": channel, "data": 1})
        assert replica.service.feed.cuts == []
