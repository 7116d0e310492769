"""Many streams at once: a slow one holds up nobody; a drain ends thousands in time and spreads their return."""

from __future__ import annotations

import re
import resource
import selectors
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sse_harness import Client, Process, Replicas, Stream, eventually

from sse_app.fanout.subscriber import Subscriber

DEADLINE_SECONDS = 60  # for a machine that is busy; nothing here is measured by the clock


@pytest.fixture(scope="module", autouse=True)
def descriptors() -> Iterator[None]:
    """Two thousand connections need as many descriptors, here and in a process started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard >= 5_000
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def opened(port: int, count: int, stack: ExitStack) -> list[Client]:
    """Streams whose opening has been read."""
    clients = [stack.enter_context(Client(port)) for _ in range(count)]
    for client in clients:
        client.send("GET /api/v1/stream?channel=many HTTP/1.1\nHost: x")
    for client in clients:
        client.head()
        assert (client.chunk() or b"").startswith(b"retry: ")
    return clients


def frames(clients: list[Client], wanted: int) -> None:
    """Read until each has had `wanted` events; their bytes are counted, not kept."""
    left = dict.fromkeys(clients, wanted)
    tails = dict.fromkeys(clients, b"")
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client.socket, selectors.EVENT_READ, client)
        until = time.monotonic() + DEADLINE_SECONDS
        while left:
            assert time.monotonic() < until, f"{len(left)} of {len(clients)} still wait"
            for key, _ in selector.select(1):
                client = key.data
                data = tails[client] + client.socket.recv(1 << 20)
                left[client] -= data.count(b"\nid: ")
                tails[client] = data[-4:]  # one less than what is counted
                if not left[client]:
                    del left[client]
                    selector.unregister(client.socket)


class Throttled(threading.Thread):
    """Reads a stream at 256 kbit/s until told to hurry, and its last events not before; keeps the numbers of events."""

    def __init__(self, stream: Stream, events: int) -> None:
        super().__init__()
        self.stream = stream
        self.events = events
        self.hurry = threading.Event()
        self.numbers: list[str] = []

    def run(self) -> None:
        while len(self.numbers) < self.events:
            block = self.stream.block(DEADLINE_SECONDS)
            assert block is not None
            if block.data is not None:
                self.numbers.append(block.data.split()[0])
                last = len(self.numbers) == self.events - 20  # more bytes than all the buffers hold
                self.hurry.wait(DEADLINE_SECONDS if last else len(block.data) * 8 / 256_000)


def slow(replica: Replicas) -> Subscriber:
    [found] = [one for one in replica.service.hub.streams if "slow" in one.wanted.exact]
    return found


def test_a_reader_at_256_kbit_holds_up_none_of_500_others_and_still_gets_everything() -> None:
    events, size = 60, 4_000  # 240 KB: 7.5 s of its line
    with Replicas(write_buffer_bytes=16_384, send_buffer_bytes=16_384) as replica, ExitStack() as stack:
        stream = stack.enter_context(Stream(replica.port, ["slow", "many"], receive_buffer=4096))
        assert stream.block()
        others = opened(replica.port, 500, stack)
        eventually(lambda: sum(one.live for one in replica.service.hub.streams) == 501)
        reader = Throttled(stream, events)
        reader.start()
        for n in range(events):
            replica.publish({"channel": "many", "data": f"{n} {'x' * size}"})
        frames(others, events)
        # All others have everything while it has not, and the hub has gone past it: nobody waited.
        assert len(reader.numbers) < events
        hub = replica.service.hub
        assert slow(replica).cursor < hub.position - 1 == hub.ring.end - 1
        assert not slow(replica).live
        reader.hurry.set()
        reader.join(DEADLINE_SECONDS)
        assert reader.numbers == [str(n) for n in range(events)]


BYE = re.compile(
    rb'[0-9a-f]+\r\nretry: (\d+)\nevent: bye\ndata: {"reason":"draining"}\nid: \S+\n\n\r\n0\r\n\r\n', re.ASCII
)


@pytest.mark.usefixtures("coverage_paused")
def test_a_drain_ends_2000_streams_in_time_each_with_a_bye_and_spreads_when_they_come_back() -> None:
    process = Process(SSE_DRAIN_SECONDS="2", SSE_RETRY_MILLISECONDS="2000")
    try:
        with ExitStack() as stack, selectors.DefaultSelector() as selector:
            clients = opened(process.port, 2_000, stack)
            for client in clients:
                selector.register(client.socket, selectors.EVENT_READ, client)
            process.process.send_signal(signal.SIGTERM)
            first = len(selector.select(DEADLINE_SECONDS))
            assert first < 1_000  # most still stream when the first are told to go
            while selector.get_map():
                ready = selector.select(DEADLINE_SECONDS)
                assert ready
                for key, _ in ready:
                    if not key.data.receive():
                        selector.unregister(key.fileobj)
            retries = [int(match[1]) for client in clients if (match := BYE.fullmatch(client.raw))]
        assert len(retries) == 2_000
        assert process.process.wait(DEADLINE_SECONDS) == 0
        # Half to one and a half times two seconds: 200 in each tenth, give or take five standard deviations.
        tenths = Counter(min(9, (retry - 1_000) // 200) for retry in retries)
        assert sorted(tenths) == list(range(10))
        assert all(130 <= count <= 270 for count in tenths.values())
    finally:
        process.process.kill()
        process.process.communicate()
