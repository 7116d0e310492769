"""The seam between replay and live, with every interleaving that a sweep allows."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sse_app.base.account import BYTE_SECONDS, SAVED_SECONDS, Account
from sse_app.base.channels import parse
from sse_app.base.metrics import Metrics
from sse_app.fanout import hub as hub_module
from sse_app.fanout.backlog import Backlog, Filters
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry, Ring
from sse_app.fanout.socket_writer import CLOSED, chunk
from sse_app.fanout.subscriber import Subscriber
from sse_app.log.cursor import Cursor

FILTERS = [["a"], ["b", "x.*"], ["*"], ["a", "*"], ["nothing"]]


def wire(write: Callable[[bytes], object]) -> Any:
    return SimpleNamespace(write=write, close=lambda: None, direct=CLOSED)


@pytest.mark.parametrize("seed", range(8))
async def test_each_subscriber_gets_each_matching_event_once_and_in_order(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_WRITES", 3)  # a pause after every third write
    monkeypatch.setattr(hub_module, "SWEEP_RECORDS", 4)
    monkeypatch.setattr(hub_module, "LARGE_BYTES", 30)  # of one frame less, of two more
    chance = random.Random(seed)
    ring = Ring(10_000, 2**30)
    hub = Hub(ring, Metrics(), heartbeat_seconds=15, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    hub.open = True
    written: dict[Subscriber, list[bytes]] = {}

    def subscribe() -> Subscriber:
        subscriber = Subscriber(parse(chance.choice(FILTERS)), -1, "id")
        written[subscriber] = []
        if chance.random() < 0.5:  # some addresses have taken their share
            subscriber.account = cast("Any", SimpleNamespace(affords=lambda _: chance.random() < 0.7))
        subscriber.writer = wire(written[subscriber].append)
        hub.add(subscriber, hub.generation)
        return subscriber

    def replay(subscriber: Subscriber) -> None:
        """What a stream's own task does, up to being live again."""
        hub.leave(subscriber)
        while subscriber.cursor + 1 < hub.position:
            frames, stop = ring.collect(
                subscriber.cursor + 1, hub.position, subscriber.wanted, chance.randrange(1, 200)
            )
            subscriber.cursor = stop - 1
            if frames:
                written[subscriber].append(chunk(frames))
        hub.join(subscriber)

    async def disturb() -> None:
        while True:
            subscriber = chance.choice(list(written))
            subscriber.paused = chance.random() < 0.3
            if not subscriber.paused:
                replay(subscriber)
            if len(written) < 60 and chance.random() < 0.2:
                replay(subscribe())
            await asyncio.sleep(0)

    for _ in range(30):
        replay(subscribe())
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(disturb())]
    channels: list[str] = []
    for _ in range(60):
        for _ in range(chance.randrange(6)):
            channels.append(chance.choice(["a", "b", "x.y", "c"]))
            ring.append(Entry(Cursor(ring.end, "0" * 8), int(time.time() * 1000), channels[-1], b"<%d>" % ring.end))
        hub.notify()
        for _ in range(chance.randrange(12)):
            await asyncio.sleep(0)
    for _ in range(2000):  # turns of the loop: more than the last sweeps take
        await asyncio.sleep(0)
    assert hub.position == ring.end
    async with hub._lock:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for subscriber, chunks in written.items():
        subscriber.paused = False
        replay(subscriber)
        got = [int(number) for number in re.findall(rb"<(\d+)>", b"".join(chunks))]
        assert got == [offset for offset, channel in enumerate(channels) if subscriber.wanted.matches(channel)]


async def test_a_large_event_for_many_filters_leaves_others_their_turn_and_is_in_memory_once() -> None:
    ring = Ring(10, 2**30)
    hub = Hub(ring, Metrics(), heartbeat_seconds=15, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    hub.open = True
    written: list[bytes] = []
    for number in range(200):
        subscriber = Subscriber(parse(["a", f"own.{number}"]), -1, "id")
        subscriber.writer = wire(written.append)
        hub.add(subscriber, hub.generation)
        hub.join(subscriber)
    ring.append(Entry(Cursor(0, "0"), 0, "a", b"x" * 125_000))
    sweep = asyncio.create_task(hub._sweep())
    turns = [0]
    while not sweep.done():
        await asyncio.sleep(0)
        turns.append(len(written))
    assert len(written) == 200
    assert len(set(map(id, written))) == 1  # 200 copies would take 25 MB
    assert max(after - before for before, after in itertools.pairwise(turns)) <= 40  # of small ones, 500


async def test_streams_of_an_address_that_took_its_share_wait_for_a_large_event_and_others_do_not() -> None:
    ring = Ring(10, 2**30)
    hub = Hub(ring, Metrics(), heartbeat_seconds=15, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    hub.open = True
    greedy, honest = Account(0.0001), Account(1)  # so slowly that no time pays for anything here
    written: dict[Account | None, int] = {greedy: 0, honest: 0, None: 0}
    for number in range(300):
        subscriber = Subscriber(parse(["a", f"own.{number // 3}"]), -1, "id")
        subscriber.account = (greedy, None, honest)[number % 3] if number < 150 or number % 3 < 2 else greedy

        def write(_: bytes, account: Account | None = subscriber.account) -> None:
            written[account] += 1

        subscriber.writer = wire(write)
        hub.add(subscriber, hub.generation)
        hub.join(subscriber)
    ring.append(Entry(Cursor(0, "0"), 0, "a", b"x" * 60_000))
    await hub._sweep()
    most = SAVED_SECONDS / (60_000 * BYTE_SECONDS)
    assert written[greedy] == pytest.approx(most, abs=1)
    assert (written[honest], written[None]) == (50, 100)
    waiting = [one for one in hub.streams if not one.live]
    assert len(waiting) == 150 - written[greedy]
    assert {one.cursor for one in waiting} == {-1}  # their own tasks write it
    ring.append(Entry(Cursor(1, "1"), 0, "a", b"small"))
    await hub._sweep()
    assert (written[honest], written[None]) == (100, 200)


async def test_a_filter_without_subscribers_leaves_nothing_behind() -> None:
    hub = Hub(Ring(10, 2**20), Metrics(), heartbeat_seconds=15, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    for names in FILTERS:
        subscriber = Subscriber(parse(names), -1, "id")
        hub.add(subscriber, hub.generation)
        hub.join(subscriber)
        hub.remove(subscriber)
    assert (hub._groups, hub._by_exact, hub._by_prefix, hub.streams) == ({}, {}, {}, set())
    assert not any(hub._wheel)


async def test_a_transport_that_refuses_a_write_costs_nobody_else_the_event() -> None:
    ring = Ring(100, 2**20)
    hub = Hub(ring, Metrics(), heartbeat_seconds=1, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    hub.open = True
    written: list[list[bytes]] = [[], [], []]

    def refuse(_: bytes) -> None:
        raise RuntimeError("the handler is closed")

    subscribers = [Subscriber(parse(["a"]), -1, "id") for _ in written]
    for subscriber, got in zip(subscribers, written, strict=True):
        subscriber.writer = wire(got.append)
        hub.add(subscriber, hub.generation)
        hub.join(subscriber)
    subscribers[1].writer = wire(refuse)
    ring.append(Entry(Cursor(0, "0"), 0, "a", b"first"))
    await hub._sweep()
    await hub._heartbeat(subscribers)
    assert [chunk(b"first") in got for got in written] == [True, False, True]
    assert [subscriber.lost for subscriber in subscribers] == [False, True, False]
