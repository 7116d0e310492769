"""Many readers that read nothing: together they hold no more than a budget, and honest ones get everything."""

from __future__ import annotations

import asyncio
import json
import resource
import selectors
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sse_harness import Process, Stream, eventually, fetch

from sse_app.base.channels import parse
from sse_app.fanout.backlog import Backlog, Filters

BUDGET = 64 * 2**20
EVENT = "x" * 60_000


@pytest.fixture(autouse=True)
def descriptors() -> Iterator[None]:
    """A thousand connections need as many descriptors, here and in a process started from here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 5_000), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def peak(process: Process) -> int:
    """The most memory that a process has had, in bytes."""
    [line] = [line for line in Path(f"/proc/{process.process.pid}/status").read_text().splitlines() if "VmHWM" in line]
    return int(line.split()[1]) * 1024


def test_a_thousand_unread_streams_of_large_events_end_before_the_memory_does(coverage_paused: None) -> None:
    """With 1,100 of them, and events of 500 KB together, a replica of 384 MB was killed."""
    process = Process(SSE_LOG_LEVEL="warning")  # nobody reads its lines
    try:
        before = peak(process)
        with ExitStack() as stack:
            slow = [
                stack.enter_context(Stream(process.port, ["a", f"own.{n}"], receive_buffer=4096)) for n in range(1_100)
            ]
            honest = [stack.enter_context(Stream(process.port, "a")) for _ in range(5)]
            for stream in (*slow, *honest):
                stream.block()
            for n in range(8):
                body = b'{"channel":"a","data":"%d%b"}' % (n, EVENT.encode())
                answer = fetch(f"http://127.0.0.1:{process.port}/api/v1/events", body)
                assert answer.status == 202
                for stream in honest:
                    assert stream.events(1, 30)[0].data[:1] == str(n)
            metrics = fetch(f"http://127.0.0.1:{process.port}/metrics").body.decode()
            assert peak(process) - before < 3 * BUDGET
        ended = {line.split()[0]: float(line.split()[1]) for line in metrics.splitlines() if line.startswith("sse_")}
        assert ended['sse_streams_ended_total{reason="slow"}'] > 500
        assert ended["sse_backlog_bytes"] <= BUDGET
        eventually(process.ready)
    finally:
        process.process.terminate()
        process.process.communicate()


class Held:
    """A connection whose transport holds some bytes."""

    def __init__(self) -> None:
        self.size = 0
        self.slow = False

    def cut(self) -> None:
        self.slow, self.size = True, 0


async def test_who_catches_up_waits_until_half_of_the_budget_is_free_and_comes_in_order() -> None:
    backlog = Backlog(1_000, socket_bytes=50)
    held = [Held() for _ in range(5)]
    order: list[int] = []

    async def catch_up(number: int) -> None:
        await backlog.turn(100)
        order.append(number)
        held[number].size = 100
        backlog.hold(held[number], 100, anew=True)

    streams = [asyncio.create_task(catch_up(number)) for number in range(5)]
    await asyncio.wait(streams, timeout=0.2)
    assert order == [0, 1, 2]  # with its socket, each has 150 bytes
    held[1].size = 0
    await asyncio.wait_for(streams[3], 10)
    assert not streams[4].done()
    held[0].size = held[2].size = 0
    await asyncio.wait_for(streams[4], 10)
    assert not any(one.slow for one in held)


async def test_who_takes_nothing_loses_its_turn_to_one_that_waits() -> None:
    backlog = Backlog(1_000, socket_bytes=0)
    unread, reading, live = Held(), Held(), Held()
    for one in (unread, reading):
        one.size = 250
        backlog.hold(one, 250)
    waiting = asyncio.create_task(backlog.turn(100))
    await asyncio.wait([waiting], timeout=0.5)
    backlog.hold(reading, 250, anew=True)  # it has taken all, and was given more
    live.size = 10
    backlog.hold(live, 10)
    await asyncio.wait_for(waiting, 10)
    assert (unread.slow, reading.slow, live.slow) == (True, False, False)


async def test_where_nobody_holds_anything_one_may_always_go_on() -> None:
    backlog = Backlog(1_000, socket_bytes=4_000)
    await asyncio.wait_for(backlog.turn(100), 0.1)


def test_a_crowd_that_comes_back_at_once_gets_everything_and_nobody_is_cut(coverage_paused: None) -> None:
    """The budget has room for 32 of them, and each was filled as if it were alone."""
    process = Process(SSE_LOG_LEVEL="warning", SSE_BACKLOG_BYTES=str(4 * 2**20))
    try:
        url = f"http://127.0.0.1:{process.port}/api/v1/events"
        first = json.loads(fetch(url, b'{"channel":"a","data":"before"}').body)["ids"][0]
        batch = [{"channel": "a", "data": EVENT[:4_000]} for _ in range(50)]
        for _ in range(10):
            assert fetch(url, json.dumps(batch).encode()).status == 202
        missing = dict.fromkeys((opened(process.port, first) for _ in range(100)), 500 * 4_000)  # letters
        with selectors.DefaultSelector() as selector:
            for one in missing:
                selector.register(one, selectors.EVENT_READ)
            while missing:
                ready = selector.select(30)
                assert ready, f"{len(missing)} streams still miss events, and nothing comes"
                for key, _ in ready:
                    one: Any = key.fileobj
                    data = one.recv(65_536)
                    assert data, f"a stream ended that still missed {missing[one]} letters"
                    missing[one] -= data.count(b"x")
                    if missing[one] <= 0:
                        selector.unregister(one)
                        one.close()
                        del missing[one]
    finally:
        process.process.terminate()
        process.process.communicate()


def opened(port: int, after: str) -> socket.socket:
    """Resume a stream, and read nothing yet."""
    made = socket.create_connection(("127.0.0.1", port), 10)
    made.sendall(b"GET /api/v1/stream?channel=a&last_event_id=%b HTTP/1.1\r\nHost: a\r\n\r\n" % after.encode())
    return made


def test_who_holds_most_is_cut_first_and_only_until_a_quarter_is_free() -> None:
    backlog = Backlog(1_000, socket_bytes=10)
    held = [Held() for _ in range(10)]
    for size, one in enumerate(held, 95):
        one.size = size
        backlog.hold(one, size)
    assert [one.slow for one in held] == [*[False] * 6, *[True] * 4]
    assert backlog.bytes <= 1_000


def test_what_was_read_meanwhile_no_longer_counts() -> None:
    backlog = Backlog(1_000, socket_bytes=0)
    for _ in range(100):
        one = Held()
        one.size = 500
        backlog.hold(one, 500)
        one.size = 0  # its reader takes it at once
        assert not one.slow
    assert backlog.bytes == 0


def test_equal_filters_count_once_and_a_wide_one_waits_for_memory() -> None:
    filters = Filters(100_000)
    wide = [parse(f"{n}.{name}" for name in range(100)) for n in range(3)]
    assert all(filters.add(parse(f"0.{name}" for name in range(100))) == wide[0] for _ in range(50))
    assert filters.admits(wide[0])  # it is there already
    assert not filters.admits(wide[1])
    assert filters.admits(parse(["a", "b"]))  # few names are always taken
    for _ in range(50):
        filters.remove(wide[0])
    assert filters.bytes == 0
    assert filters.admits(wide[1])
