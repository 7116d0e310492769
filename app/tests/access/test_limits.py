"""Limits hold over all replicas while Redis answers, and over each one alone while it does not."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis_server
from redis_server import RedisServer
from sse_harness import APP, Answer, Client, Replicas, Stream, eventually, fetch

from sse_app.access import limits
from sse_app.base.client_address import client_address, networks
from sse_app.base.metrics import Metrics
from sse_app.base.problem import Problem
from sse_app.base.settings import Settings, variable
from sse_app.http import publish as publish_module

# A whole process, to be killed; its lease is short.
REPLICA = """
import sys
from sse_app.access import limits
from sse_app.server import main
limits._LEASE_SECONDS, limits._RENEW_SECONDS = 1, 0.2
sys.exit(main())
"""
# Refills so slowly that nothing of it is seen within a test.
SLOW: dict[str, Any] = {
    "publish_rate": 0.01,
    "publish_burst": 10,
    "max_batch_events": 10,
    "trusted_proxies": "127.0.0.1",
}


@pytest.fixture
def redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RedisServer]:
    monkeypatch.setattr(limits, "_ANSWER_SECONDS", 2.0)  # on a busy machine it is late, and would not be asked
    server = RedisServer(tmp_path)
    yield server
    server.stop()


def publish(replicas: Replicas, count: int = 1, index: int = 0, address: str = "198.51.100.1") -> Answer:
    return replicas.post([{"channel": "c", "data": 1}] * count, index, X_Forwarded_For=address)


def open_stream(replicas: Replicas, address: str = "198.51.100.1", index: int = 0) -> Stream:
    return Stream(replicas.ports[index], "c", headers={"X-Forwarded-For": address})


def admitted(replicas: Replicas, address: str = "198.51.100.1", index: int = 0) -> bool:
    with open_stream(replicas, address, index) as stream:
        first = stream.block()
        return first is not None and first.event != "bye"


def redis_knows(replicas: Replicas) -> bool:
    """Whether every replica has its lease, and has told what it had to tell."""
    return all(one.limits._leased and not one.limits._untold for one in replicas.services)


def test_over_the_rate_is_a_429_that_says_when_to_come_back_and_stores_nothing() -> None:
    with Replicas(publish_rate=2, publish_burst=10, max_batch_events=10) as replicas:
        assert publish(replicas, 10).status == 202
        events = replicas.service.metrics.events
        refused = publish(replicas, 5)
        assert (refused.status, refused.headers["content-type"]) == (429, "application/problem+json")
        assert refused.headers["retry-after"] == "3"
        assert replicas.service.metrics.events == events
        assert replicas.service.metrics.limited == {"publish": 1}
        assert replicas.service.metrics.publishes["limited"] == 1


ZEROS = b"[" + b"0," * 70_000 + b"0]"
# Parsing looks for the end of each string, and 1024 bytes of text are one token.
TEXT = b'{"channel":"c","data":"%b"}' % (b"x" * 20_000)


def remaining(replicas: Replicas, publisher: str = "198.51.100.1") -> int:
    """The tokens that a publisher has left in the memory of this replica."""
    service = replicas.service
    full = service.limits._buckets._full.get(publisher, 0.0) - time.monotonic()
    return round(service.settings.publish_burst - max(0.0, full) * service.settings.publish_rate)


def raw(replicas: Replicas, body: bytes, **headers: str) -> Answer:
    return replicas.post(body, X_Forwarded_For="198.51.100.1", **headers)


@pytest.mark.parametrize(
    ("body", "status", "tokens"),
    [
        (b'{"channel":"c","data":1}', 202, 1),
        (b'[{"channel":"c","data":1},{"channel":"c","data":2}]', 202, 2),
        (TEXT, 202, 20),  # KiB
        (b'{"channel":"c","data":[%b0]}' % (b"0," * 640), 202, 11),  # values, 64 for one
        (ZEROS, 422, 1_094),
        (b"[" + b"{}," * 20_000 + b"{}]", 422, 626),
        (b"[[[[" + b" " * 9_000, 400, 9),
        (b"not JSON", 400, 1),
    ],
)
def test_a_publisher_pays_for_the_bytes_and_the_values_of_a_body_also_where_it_is_refused(
    body: bytes, status: int, tokens: int
) -> None:
    with Replicas(**{**SLOW, "publish_burst": 2000}) as replicas:
        assert raw(replicas, body).status == status
        assert remaining(replicas) == 2000 - tokens


def test_who_has_not_enough_left_for_a_body_is_refused_before_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = list[int]()
    monkeypatch.setattr(publish_module.body, "events", lambda text, _: read.append(len(text)))
    with Replicas(**{**SLOW, "publish_burst": 100}) as replicas, Client(replicas.port) as client:
        spender = limits.Bucket("198.51.100.1", 0.01, 100)
        replicas.call(lambda: replicas.service.limits._buckets.take([spender], 90))
        head = "POST /api/v1/events HTTP/1.1\nHost: x\nX-Forwarded-For: 198.51.100.1\nContent-Type: application/json"
        client.send(f"{head}\nContent-Length: 100000", b"[")  # and the rest never comes
        answer = client.answer()
        assert (answer.status, answer.headers["retry-after"]) == (429, "8800")
        assert replicas.service.metrics.limited == {"publish": 1}
        assert replicas.service.metrics.publishes["limited"] == 1
        assert not read


def test_what_a_body_holds_is_paid_for_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed = list[int]()
    with Replicas(**{**SLOW, "publish_burst": 2000}) as replicas:
        events = publish_module.body.events
        monkeypatch.setattr(
            publish_module.body, "events", lambda text, most: (parsed.append(len(text)), events(text, most))[1]
        )
        assert [raw(replicas, ZEROS).status for _ in range(5)] == [422, 429, 429, 429, 429]
        assert parsed == [len(ZEROS)]


def test_a_body_that_counts_for_more_than_a_burst_is_taken_from_a_full_one() -> None:
    """It could never be published otherwise, and Retry-After would promise what never comes."""
    with Replicas(**{**SLOW, "publish_burst": 12}) as replicas:
        assert raw(replicas, TEXT).status == 202
        refused = raw(replicas, TEXT)
        assert (refused.status, refused.headers["retry-after"]) == (429, "1200")


def test_what_is_paid_in_two_steps_is_there_at_once_when_the_wait_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second step of a refused try waits for the first one, too; otherwise no try would ever get through."""
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    one = limits.Limits(Settings(publish_rate=10, publish_burst=600, max_batch_events=500), Metrics())

    async def publish(size: int, events: int) -> float:
        """Publish, and return the seconds to wait, 0 where it is taken."""
        charge = one.charge("p")
        try:
            await charge.announced(size)
            await charge.parsed(events)
        except Problem as problem:
            return float(problem.headers["retry-after"])
        return 0

    assert asyncio.run(publish(51_200, 500)) == 0
    wait = asyncio.run(publish(51_200, 500))
    assert wait == 45  # of 100 tokens 50 are spent on the size: 500 - 50
    now += wait
    assert asyncio.run(publish(51_200, 500)) == 0


def test_a_bucket_fills_again_at_its_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    buckets, one, other = limits.Buckets(), [limits.Bucket("p", 2, 4)], [limits.Bucket("other", 2, 4)]
    assert [buckets.take(one, 1) for _ in range(4)] == [0, 0, 0, 0]
    assert buckets.take(one, 1) == 0.5
    assert buckets.take(other, 4) == 0
    now += 0.5
    assert buckets.take(one, 1) == 0
    assert buckets.take(one, 1) == 0.5
    now += 1000
    assert buckets.take(one, 4) == 0
    assert buckets.take(one, 1) == 0.5


def test_of_two_buckets_both_give_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits.time, "monotonic", lambda: 1000.0)
    buckets, small, large = limits.Buckets(), limits.Bucket("small", 1, 2), limits.Bucket("large", 10, 20)
    assert buckets.take([large, small], 2) == 0
    assert buckets.take([large, small], 1) == 1
    assert buckets.take([large], 18) == 0  # what was refused took nothing
    assert buckets.take([limits.Bucket("another", 1, 2), large], 1) == pytest.approx(0.1)
    assert buckets.take([limits.Bucket("another", 1, 2)], 2) == 0


def test_publishers_that_are_forgotten_bound_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_PUBLISHERS", 3)
    buckets, last = limits.Buckets(), [limits.Bucket("d", 0.001, 1)]
    for publisher in ("a", "b", "c"):
        assert buckets.take([limits.Bucket(publisher, 0.001, 1)], 1) == 0
    assert buckets.take(last, 1) == 0
    assert len(buckets) == 3
    assert buckets.take(last, 1) > 0


# --- narrow tickets


async def spend(one: limits.Limits, ticket: str, tokens: int = 1, most: int = 100) -> int:
    """How many publishes of so many tokens are taken before one is refused."""
    for taken in range(most):
        try:
            await one.publish("key:server", tokens, ticket=ticket)
        except Problem:
            return taken
    return most


def test_a_ticket_spends_a_share_and_leaves_the_others_and_the_server_theirs(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    one = limits.Limits(Settings(publish_rate=10, publish_burst=100, max_batch_events=10), Metrics())
    assert asyncio.run(spend(one, "hostile")) == 10
    assert asyncio.run(spend(one, "honest")) == 10
    assert asyncio.run(spend(one, "")) == 80  # both were paid from the rate of the credential, too
    now += 1
    assert asyncio.run(spend(one, "hostile")) == 1
    assert asyncio.run(spend(one, "")) == 9


def test_a_body_above_the_share_of_a_ticket_is_taken_from_a_full_one_which_pays_for_all_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 1000.0
    monkeypatch.setattr(limits.time, "monotonic", lambda: now)
    one = limits.Limits(Settings(publish_rate=10, publish_burst=100, max_batch_events=50), Metrics())

    async def publish() -> float:
        charge = one.charge("key:server", "t")
        try:
            await charge.announced(20_480)
            await charge.parsed(50)
        except Problem as problem:
            return float(problem.headers["retry-after"])
        return 0

    assert asyncio.run(publish()) == 0
    wait = asyncio.run(publish())
    assert 45 <= wait <= 50  # at one a second
    now += wait - 10
    assert asyncio.run(publish()) > 0
    now += 20
    assert asyncio.run(publish()) == 0


@redis_server.needed
def test_replicas_share_the_rate_of_a_ticket(redis: RedisServer) -> None:
    settings = {**SLOW, "publish_burst": 100, **redis.settings}
    with Replicas(2, **settings) as replicas:
        one, other = (service.limits for service in replicas.services)
        assert replicas.wait(spend(one, "hostile")) == 10
        assert replicas.wait(spend(other, "hostile")) == 0
        assert replicas.wait(spend(other, "honest")) == 10
        assert replicas.wait(spend(one, "")) == 80


@redis_server.needed
def test_replicas_share_a_publishers_rate(redis: RedisServer) -> None:
    with Replicas(2, **SLOW, **redis.settings) as replicas:
        statuses = [publish(replicas, 2, index % 2).status for index in range(7)]
        assert statuses == [202] * 5 + [429] * 2
        assert publish(replicas, 2, 0, "198.51.100.2").status == 202  # another publisher
        assert all(not one.metrics.unshared for one in replicas.services)


@redis_server.needed
@pytest.mark.parametrize("how", ["killed", "paused"])
def test_without_redis_each_replica_grants_the_whole_rate_and_a_metric_counts_it(
    redis: RedisServer, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with Replicas(2, **SLOW, **redis.settings) as replicas:
        assert publish(replicas, 10).status == 202
        assert publish(replicas, 1, 1).status == 429
        if how == "killed":
            redis.stop()
            assert publish(replicas, 5, 1).status == 202
        else:
            with redis.paused():
                assert publish(replicas, 5, 1).status == 202
        assert publish(replicas, 6, 1).status == 429  # its own bucket still counts
        assert replicas.services[1].metrics.unshared["publish"] >= 1
        assert redis_server.PASSWORD not in caplog.text


@redis_server.needed
def test_the_shared_rate_counts_again_when_redis_is_back(redis: RedisServer) -> None:
    with Replicas(2, **SLOW, **redis.settings) as replicas:
        with redis.paused():
            assert publish(replicas, 1, 1).status == 202
        eventually(lambda: publish(replicas, 1, 1, f"198.51.100.{time.monotonic_ns() % 250}").status == 202)
        before = replicas.services[1].metrics.unshared["publish"]
        eventually(lambda: publish(replicas, 10, 0, "203.0.113.1").status == 202)

        def refused_by_redis() -> bool:
            return publish(replicas, 1, 1, "203.0.113.1").status == 429

        eventually(refused_by_redis)
        assert before >= 1


def test_over_the_streams_of_an_address_is_a_200_that_has_an_eventsource_come_back_late() -> None:
    with Replicas(max_streams_per_address=2, trusted_proxies="127.0.0.1", retry_milliseconds=1000) as replicas:
        first, second = open_stream(replicas), open_stream(replicas)
        third = open_stream(replicas)
        assert (third.status, third.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        body = third.raw.decode()
        while third.receive():
            body = third.raw.decode()
        assert 'event: bye\ndata: {"reason":"limit"}\n' in body
        assert 5000 <= int(body.partition("retry: ")[2].partition("\n")[0]) <= 15_000
        assert "id:" not in body  # the cursor of a client that resumes stays as it was
        assert admitted(replicas, "198.51.100.2")
        assert replicas.service.metrics.limited == {"streams": 1}
        first.socket.close()
        eventually(lambda: admitted(replicas))
        second.socket.close()


@redis_server.needed
def test_replicas_share_the_streams_of_an_address(redis: RedisServer) -> None:
    with Replicas(2, max_streams_per_address=3, trusted_proxies="127.0.0.1", **redis.settings) as replicas:
        eventually(lambda: redis_knows(replicas))
        held = [open_stream(replicas, index=index) for index in (0, 1, 0)]
        assert all(stream.block() for stream in held)
        assert not admitted(replicas, index=1)
        assert not admitted(replicas, index=0)
        assert admitted(replicas, "198.51.100.9", 1)
        held.pop().socket.close()
        eventually(lambda: admitted(replicas, index=1))
        for stream in held:
            stream.socket.close()


@redis_server.needed
def test_the_streams_of_a_killed_replica_count_no_more_when_its_lease_ends(redis: RedisServer) -> None:
    limited = {"max_streams_per_address": 1, "trusted_proxies": "127.0.0.1", **redis.settings}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {variable(name): str(value) for name, value in {"host": "127.0.0.1", "port": port, **limited}.items()}
    doomed = subprocess.Popen([sys.executable, "-c", REPLICA], cwd=APP, env={**os.environ, **environment})
    try:
        with Replicas(**limited) as replicas:
            eventually(lambda: ready(port), 30)
            eventually(lambda: redis_knows(replicas))
            with Stream(port, "c", headers={"X-Forwarded-For": "198.51.100.1"}) as held:
                first = held.block()
                assert first is not None
                assert first.event != "bye"
                assert not admitted(replicas)
                doomed.kill()
                eventually(lambda: admitted(replicas))
                assert not replicas.service.metrics.unshared
    finally:
        doomed.kill()
        doomed.wait()


def ready(port: int) -> bool:
    try:
        return fetch(f"http://127.0.0.1:{port}/health/ready").status == 200
    except OSError:
        return False


@redis_server.needed
def test_a_redis_that_lost_its_memory_is_told_every_number_anew(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_RENEW_SECONDS", 0.1)
    settings = {"max_streams_per_address": 1, "trusted_proxies": "127.0.0.1", **redis.settings}
    with Replicas(2, **settings) as replicas:
        eventually(lambda: redis_knows(replicas))
        held = open_stream(replicas, index=0)
        assert held.block() is not None
        redis.stop()
        assert admitted(replicas, index=1)  # failing open
        assert not admitted(replicas, index=0)  # what this replica knows by itself still counts
        redis.start()
        eventually(lambda: not admitted(replicas, index=1))
        assert replicas.services[1].metrics.unshared["streams"] >= 1
        held.socket.close()


@redis_server.needed
def test_publishes_and_streams_do_not_wait_for_a_redis_that_hangs(redis: RedisServer) -> None:
    """Bounded by what is counted: after the first question, none is asked for a while."""
    with Replicas(max_streams_per_address=50, **{**SLOW, "publish_burst": 1000}, **redis.settings) as replicas:
        eventually(lambda: redis_knows(replicas))
        with redis.paused(), open_stream(replicas) as live:
            assert live.block() is not None
            for number in range(20):
                assert publish(replicas).status == 202
                assert len(live.events(1)) == 1, number
        assert replicas.service.metrics.unshared["publish"] == 20


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("10.0.0.5", [], "10.0.0.5"),
        ("10.0.0.5", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("10.0.0.5", ["nonsense"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        (None, ["198.51.100.1"], "198.51.100.1"),
        (None, [], "unknown"),
        ("2001:db8:1:2:3::4", [], "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", [], "192.0.2.1"),
        ("10.0.0.5", ["2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),
    ],
)
def test_the_client_is_the_peer_or_what_a_trusted_proxy_says(
    peer: str | None, forwarded: list[str], expected: str
) -> None:
    scope = {
        "client": None if peer is None else (peer, 1),
        "headers": [(b"x-forwarded-for", value.encode()) for value in forwarded],
    }
    assert client_address(scope, networks("10.0.0.0/8")) == expected


def test_without_limits_redis_is_never_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Replicas(redis_host="127.0.0.1", redis_port=1) as replicas:
        assert publish(replicas).status == 202
        assert admitted(replicas)
        assert not replicas.service.metrics.unshared
        assert "limits" not in caplog.text
    assert Settings().publish_rate == Settings().max_streams_per_address == 0
