"""Bytes that go past the transport: whole, in order, and to nobody else, whatever the socket takes of them."""

from __future__ import annotations

import asyncio
import os
import random
import socket
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
import uvloop
from sse_harness import Replicas, Stream, eventually

from sse_app.base.channels import parse
from sse_app.base.metrics import Metrics
from sse_app.fanout import hub as hub_module
from sse_app.fanout.backlog import Backlog, Filters
from sse_app.fanout.hub import Hub
from sse_app.fanout.ring import Entry, Ring
from sse_app.fanout.socket_writer import CLOSED, SocketWriter, chunk, send
from sse_app.fanout.subscriber import Subscriber
from sse_app.log.cursor import Cursor


@asynccontextmanager
async def connection() -> AsyncGenerator[tuple[Any, socket.socket]]:
    """A transport whose socket takes some KB, and who reads from it when told to."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setblocking(False)
    ours.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
    try:
        yield transport, theirs
    finally:
        transport.abort()
        theirs.close()


async def read_on(theirs: socket.socket, read: bytearray, size: int) -> None:
    while len(read) < size:
        read += await asyncio.wait_for(asyncio.get_running_loop().sock_recv(theirs, 1 << 16), 10)


LOOPS = pytest.mark.parametrize("loop", [asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


@LOOPS
@pytest.mark.parametrize("seed", range(4))
def test_every_byte_comes_once_and_in_order_however_little_the_socket_takes(
    seed: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    chance = random.Random(seed)
    ways = Counter[str]()

    async def run() -> None:
        async with connection() as (transport, theirs):
            wire = SocketWriter(transport, Backlog(2**30, 0))
            written, read = bytearray(), bytearray()
            for n in range(1_000):
                data = b"%d " % n * chance.randrange(1, 2_000)
                written += data
                if wire.direct == CLOSED:
                    ways["held"] += 1
                    wire.write(data)
                else:  # as a sweep does
                    sent = send(wire.direct, data)
                    ways["cut" if sent < len(data) else "whole"] += 1
                    if sent < len(data):
                        wire.write(data[sent:])
                if chance.random() < 0.2:  # the reader catches up, at times not quite
                    await read_on(theirs, read, len(written) - chance.choice([0, 0, 1, 5_000]))
            await read_on(theirs, read, len(written))
            assert read == written

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())
    assert all(ways[way] > 20 for way in ("held", "cut", "whole")), ways


@LOOPS
def test_what_the_transport_holds_is_not_overtaken(loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    async def run() -> None:
        async with connection() as (transport, theirs):
            wire = SocketWriter(transport, Backlog(2**30, 0))
            transport.write(b"a" * 1_000_000)  # more than the socket takes
            read = bytearray(theirs.recv(1 << 16))  # now it would take some
            wire.write(b"b")
            assert wire.direct == CLOSED
            await read_on(theirs, read, 1_000_001)
            assert read == b"a" * 1_000_000 + b"b"
            wire.write(b"c")
            assert wire.direct != CLOSED

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


@LOOPS
@pytest.mark.parametrize("seed", range(4))
def test_sweeps_and_heartbeats_reach_each_of_a_group_in_one_order_however_it_reads(
    seed: int, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    chance = random.Random(seed)

    async def run() -> None:
        hub = a_hub()
        async with AsyncExitStack() as stack:
            readers: dict[socket.socket, bytearray] = {}
            for _ in range(3):
                transport, theirs = await stack.enter_async_context(connection())
                live(hub, SocketWriter(transport, Backlog(2**30, 0)))
                readers[theirs] = bytearray()
            expected = bytearray(FIRST)
            for n in range(300):
                if n and chance.random() < 0.3:
                    await hub._heartbeat(list(hub.streams))
                    expected += chunk(b"id: %b\n\n" % (hub.id_at(n - 1) or "").encode())
                data = b"%d " % n * chance.randrange(1, 3_000)
                hub.ring.append(Entry(Cursor(n, "0"), 0, "a", data))
                await hub._sweep()
                expected += chunk(data)
                for theirs, read in readers.items():
                    if chance.random() < 0.5:  # room in the socket, before the transport has had its turn
                        with suppress(BlockingIOError):
                            read.extend(theirs.recv(chance.randrange(1, 50_000)))
                if chance.random() < 0.2:
                    for theirs, read in readers.items():
                        await read_on(theirs, read, len(expected))
            for theirs, read in readers.items():
                await read_on(theirs, read, len(expected))
                assert read == expected

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(run())


FIRST = chunk(b"retry: 1\n\n")


def a_hub() -> Hub:
    hub = Hub(Ring(1_000, 2**30), Metrics(), heartbeat_seconds=1, backlog=Backlog(2**30, 0), filters=Filters(2**30))
    hub.open = True
    return hub


def live(hub: Hub, wire: SocketWriter) -> Subscriber:
    subscriber = Subscriber(parse(["a"]), -1, "id")
    subscriber.writer = wire
    wire.write(FIRST)
    hub.add(subscriber, hub.generation)
    hub.join(subscriber)
    return subscriber


class Transport:
    """What a wire asks of one."""

    def __init__(self, encrypts: bool = False) -> None:
        self.socket, self.peer = socket.socketpair()
        self.peer.setblocking(False)
        self.encrypts = encrypts
        self.written: list[bytes] = []

    def get_extra_info(self, name: str) -> Any:
        return {"socket": self.socket, "sslcontext": object() if self.encrypts else None}[name]

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes) -> None:
        if self.socket.fileno() < 0:
            raise RuntimeError("the handler is closed")
        self.written.append(data)

    def received(self) -> bytes:
        """By the other end, so far."""
        try:
            return self.peer.recv(65536)
        except BlockingIOError:
            return b""


def wire(transport: Any) -> SocketWriter:
    return SocketWriter(transport, Backlog(2**30, 0))


def test_a_transport_that_encrypts_is_never_passed_by() -> None:
    encrypting = Transport(encrypts=True)
    tested = wire(encrypting)
    tested.write(b"secret")
    assert (encrypting.written, encrypting.received(), tested.direct) == ([b"secret"], b"", CLOSED)


async def sweeping() -> tuple[Hub, list[Transport], list[Subscriber], asyncio.Task[None]]:
    """Three that are written to directly, and a sweep that pauses after the first of them."""
    hub, transports = a_hub(), [Transport() for _ in range(3)]
    subscribers = [live(hub, wire(transport)) for transport in transports]
    for n in range(2):
        hub.ring.append(Entry(Cursor(n, "0"), 0, "a", b"%d" % n))
        await hub._sweep()
    assert [transport.received() for transport in transports] == [FIRST + chunk(b"0") + chunk(b"1")] * 3
    assert CLOSED not in [subscriber.writer.direct for subscriber in subscribers if subscriber.writer is not None]
    hub.ring.append(Entry(Cursor(2, "0"), 0, "a", b"2"))
    sweep = asyncio.create_task(hub._sweep())
    await asyncio.sleep(0)
    assert [transport.received() for transport in transports] == [chunk(b"2"), b"", b""]
    return hub, transports, subscribers, sweep


async def test_who_leaves_the_live_and_comes_back_during_a_sweep_is_given_the_event_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_WRITES", 1)  # a pause after every write
    hub, transports, subscribers, sweep = await sweeping()
    for subscriber in subscribers:
        hub.leave(subscriber)
    assert [subscriber.cursor for subscriber in subscribers] == [2, 1, 1]  # the others replay it by themselves
    for subscriber in subscribers[:2]:
        hub.join(subscriber)
    await sweep
    assert [transport.received() for transport in transports] == [b"", b"", b""]


async def test_a_connection_lost_during_a_sweep_misses_the_event_and_who_has_its_number_since_gets_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hub_module, "SWEEP_WRITES", 1)  # a pause after every write
    hub, transports, subscribers, sweep = await sweeping()
    stranger = Transport()
    number = transports[1].socket.fileno()
    subscribers[1].lose()  # as uvloop does: told, and then closed
    transports[1].socket.close()
    os.dup2(stranger.socket.fileno(), number)
    try:
        await sweep
    finally:
        os.close(number)
    assert (transports[2].received(), stranger.received()) == (chunk(b"2"), b"")
    assert [hub.considered(subscriber) for subscriber in subscribers] == [2, 1, 2]
    assert [transport.written for transport in transports] == [[], [], []]


def test_a_stream_whose_client_has_left_is_written_to_by_its_number_no_more(replica: Replicas, channel: str) -> None:
    with Stream(replica.port, channel) as stream:
        replica.publish({"channel": channel, "data": 1})
        stream.events(1)
        [subscriber] = [one for one in replica.service.hub.streams if channel in one.wanted.exact]
        wire = subscriber.writer
        assert wire is not None
        assert wire.direct != CLOSED
    eventually(lambda: subscriber.lost)
    assert wire.direct == CLOSED
