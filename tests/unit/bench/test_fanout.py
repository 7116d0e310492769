"""The parts of bench/fanout.py that decide what its figures mean."""

from __future__ import annotations

import json
import os
import random
import select
import selectors
import shutil
import socket
import threading
import time
from pathlib import Path
from typing import Any

import load
import pytest
import report


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    return load.build(tmp_path_factory.mktemp("reader"))


def chunked(body: bytes, cuts: list[int]) -> bytes:
    """A body in chunks that end at these places, as a proxy cuts them."""
    parts = [body[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(body)], strict=True) if end > begin]
    return b"\r\n" + b"\r\n".join(b"%x\r\n%b" % (len(part), part) for part in parts) + b"\r\n"


def events(numbers: list[int]) -> bytes:
    return b"".join(b"id: %d-abc\ndata: %b\n\n" % (number, load.payload(number)) for number in numbers)


@pytest.mark.parametrize("seed", range(20))
def test_the_reader_counts_exactly_wherever_chunks_and_reads_are_cut(library: Path, seed: int) -> None:
    chance = random.Random(seed)
    numbers = [100, 101, 103, 103, 102, 99, 106, 105]  # doubled: 103; lost: 104, 107; of another window: 99
    body = b"retry: 1\nid: 5-abc\n\n" + events(numbers[:4]) + b":\n\n" + events(numbers[4:])
    stream = chunked(body, sorted(chance.sample(range(1, len(body)), chance.randrange(12))))
    mine, its = socket.socketpair()
    reader, epoll = load.Reader(library, 1024), select.epoll()
    epoll.register(mine.fileno(), select.EPOLLIN)
    with mine, its, epoll:
        kept = chance.randrange(3)  # bytes that came with the answer's head
        reader.add(mine.fileno(), stream[:kept])
        reader.expect(100, 8)
        cuts = sorted(chance.sample(range(kept + 1, len(stream)), 4))
        for begin, end in zip([kept, *cuts], [*cuts, len(stream)], strict=True):
            its.sendall(stream[begin:end])
            reader.poll(epoll.fileno(), 0.0)
        counters = reader.counters
        assert (counters.delivered, counters.doubled, counters.overlong, counters.closed) == (6, 1, 0, 0)
        its.close()
        reader.poll(epoll.fileno(), 0.0)
        assert counters.closed == 1


def test_latency_is_from_the_time_of_the_publish(library: Path) -> None:
    mine, its = socket.socketpair()
    reader, epoll = load.Reader(library, 1024), select.epoll()
    with mine, its, epoll:
        epoll.register(mine.fileno(), select.EPOLLIN)
        reader.add(mine.fileno(), b"")
        sent = (load.ctypes.c_double * 2)(time.monotonic() - 1.5, time.monotonic() - 40)
        reader.expect(7, 2, sent)
        its.sendall(chunked(events([7, 8]), []))
        reader.poll(epoll.fileno(), 0.0)
        steps = [step for step, count in enumerate(reader.counters.histogram[:]) if count]
        assert len(steps) == 2
        assert 15_000 <= steps[0] < 65_000  # 1.5 s, and what a busy machine adds
        assert 400_000 <= steps[1] < 450_000


@pytest.mark.parametrize(
    ("counts", "share", "step"),
    [([0, 10], 0.5, 1), ([1, 1, 1, 1], 0.5, 1), ([99, 0, 1], 0.99, 0), ([98, 0, 2], 0.99, 2), ([0, 0], 0.5, 0)],
)
def test_a_percentile_is_the_lowest_step_that_covers_its_share(counts: list[int], share: float, step: int) -> None:
    assert load.percentile(counts, share) == step


def test_a_payload_has_its_size_and_is_json_with_its_number() -> None:
    body = load.payload(42)
    assert len(body) == load.PAYLOAD_BYTES
    assert json.loads(body)["n"] == "0000000042"


def window(**changed: Any) -> Any:
    return {
        "rate": 20, "published": 100, "publish_errors": 0, "held_back": 0, "deliveries": 100_000, "lost": 0,
        "doubled": 0, "streams_cut": 0, "p50_ms": 5.0, "p99_ms": 20.0, "late_seconds": 0.01, "cpu_us": {"hub": 4.0},
        "cpu_share": {"hub": 0.1}, "client_share": 0.1, "events_per_write": 1.0, **changed,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "value", "kept"),
    [
        ("rate", 20, True), ("lost", 1, False), ("publish_errors", 1, False), ("streams_cut", 1, False),
        ("late_seconds", 0.6, False), ("p99_ms", 251.0, False), ("held_back", 101, False), ("held_back", 3, True),
    ],
)  # fmt: skip
def test_a_hub_keeps_up_if_all_arrives_and_soon(what: str, value: float, kept: bool) -> None:
    assert report.keeps_up(window(**{what: value})) is kept


def result() -> Any:
    def rounds(us: float, **high: Any) -> Any:
        return [
            {
                "subscribed": {"kb_per_connection": 9.0 + noise},
                "low": window(cpu_us={"hub": us * (1 + noise), "NGINX": 0.0}),
                "high": window(rate=200, cpu_us={"hub": us / 2, "NGINX": 0.0}, **high),
            }
            for noise in (0.0, 0.5, -0.1)
        ]

    return {
        "fan_out": {
            "rounds": {"ours": rounds(4.0), "nchan": rounds(5.0, lost=7), "Mercure": rounds(7.0)},
            "holds": {"ours": 800, "nchan": 200},
        },
        "machine": {"cpu": "a CPU", "cores": 2, "memory_gb": 8, "kernel": "6.1", "system": "Debian", "commit": "abc"},
        "versions": {"nchan": "1.3.6"},
        "skipped": {"fastapi": "pip is not here"},
        "rounds": 3,
        "quick": False,
        "minutes": 11.0,
    }


def test_goals_stand_beside_the_medians_and_say_what_was_missed() -> None:
    found = {goal.what.partition(":")[0]: (goal.measured, goal.met) for goal in report.goals(result())}
    assert found["CPU per delivery at 20 events/s, of nchan's"] == ("0.80 x", True)
    assert found["CPU per delivery at 20 events/s, of Mercure's"] == ("0.57 x", False)  # goal 0.5
    assert found["event rate held, of nchan's"] == ("4.0 x", True)
    assert found["memory per idle connection"] == ("9.0 KB", True)


def test_a_ratio_is_of_rounds_measured_together_so_that_a_machine_that_slows_down_changes_none() -> None:
    def low(us: float) -> Any:
        return {"low": window(cpu_us={"hub": us})}

    ours, other = [low(4.0), low(9.0), low(4.2)], [low(5.0), low(11.0), low(10.5)]  # slower in the second and third
    assert report.paired(ours, other, report.low_us) == pytest.approx(0.8)


def test_a_window_is_of_one_set_of_subscribers_and_counts_what_another_misses_as_nothing(
    library: Path,
) -> None:
    with Hub() as port:
        job: Any = {
            "port": port, "subscribe": "", "publish_head": "POST / HTTP/1.1\r\n", "publish_tail": "PAYLOAD",
            "escape": False, "processes": {"hub": [os.getpid()]}, "reader": str(library), "spin": False,
            "steps": [
                *({"name": f"{name} subscribed", "kind": "subscribe", "count": count, "settle": 0, "set": name,
                   "request": f"GET /{name} HTTP/1.1\r\n\r\n"} for name, count in (("a", 3), ("b", 2))),
                *({"name": name, "kind": "window", "rate": 100, "seconds": 0.1, "grace": 5, "set": name,
                   "tail": f"{name} PAYLOAD"} for name in ("a", "b")),
            ],
        }  # fmt: skip
        found: Any = load.run(job)
    assert {name: (found[name]["deliveries"], found[name]["lost"]) for name in ("a", "b")} == {
        "a": (30, 0),
        "b": (20, 0),
    }


class Hub(threading.Thread):
    """Gives what is published as `NAME PAYLOAD` to who asked for /NAME."""

    def __init__(self) -> None:
        super().__init__()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.ended, self.end = socket.socketpair()

    def __enter__(self) -> int:
        self.start()
        return self.listener.getsockname()[1]

    def __exit__(self, *_: object) -> None:
        self.end.close()
        self.join(10)

    def run(self) -> None:
        streams: dict[bytes, list[socket.socket]] = {}
        with self.listener, self.ended, selectors.DefaultSelector() as selector:
            for waiting in (self.listener, self.ended):
                selector.register(waiting, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    ready: Any = key.fileobj
                    if ready is self.ended:
                        return
                    if ready is self.listener:
                        selector.register(ready.accept()[0], selectors.EVENT_READ)
                    elif not (request := ready.recv(65536)):
                        selector.unregister(ready)
                        ready.close()
                    elif request.startswith(b"GET /"):
                        streams.setdefault(request[5:6], []).append(ready)
                        ready.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                    else:
                        name, _, data = request.partition(b"\r\n\r\n")[2].partition(b" ")
                        frame = b"data: %b\n\n" % data
                        for stream in streams[name]:
                            stream.sendall(b"%x\r\n%b\r\n" % (len(frame), frame))
                        ready.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")


def test_a_hub_that_lost_something_in_any_round_is_shown_to_fall_behind() -> None:
    [_, _, ours, nchan, mercure] = report.fan_out_table(result()).splitlines()
    assert ("falls behind" in ours, "falls behind" in nchan, "falls behind" in mercure) == (False, True, False)
    assert "nchan (1.3.6)" in nchan


def test_tables_land_between_their_markers_and_nowhere_else() -> None:
    document = "a\n<!-- fanout:short -->\nstale\n<!-- /fanout:short -->\nb\n"
    document += "<!-- fanout:kafka -->\nkept\n<!-- /fanout:kafka -->\n"
    filled = report.filled(document, result())
    assert "stale" not in filled
    assert "kept" in filled  # not measured this time
    assert "**sse.platform**" in filled
    assert (filled[:2], filled[-len("<!-- /fanout:kafka -->\n") :]) == ("a\n", "<!-- /fanout:kafka -->\n")
    assert report.filled(filled, result()) == filled


def test_what_was_skipped_is_said_by_name() -> None:
    assert "fastapi: pip is not here" in report.markdown(result())


def for_users() -> Any:
    def rounds(us: float, **changed: Any) -> Any:
        return [
            [window(rate=rate, cpu_us={"hub": us * factor}, **changed) for rate in (200, 1000)] for factor in (1, 3)
        ]

    return {"channels": 1000, "rounds": {"ours": rounds(60.0), "nchan": rounds(40.0), "Mercure": rounds(50.0, lost=1)}}


def posts() -> Any:
    one = {"cpu_us_per_event": {"hub": 40.0, "NGINX": 4.0}, "events_per_second": 19_000.4, "refused": 0}
    return {"rounds": {"ours": [{**one, "client_share": 0.5}, {**one, "client_share": 0.25}]}}


def test_a_channel_for_each_user_and_single_events_have_a_table_and_goals() -> None:
    found: Any = {**result(), "users": for_users(), "posts": posts()}
    made = report.sections(found)
    assert made["users"].splitlines()[2:] == [
        "| ours | 120 us, 20 ms | 120 us, 20 ms |",
        "| nchan | 80 us, 20 ms | 80 us, 20 ms |",
        "| Mercure | falls behind: 100 us, 20 ms | falls behind: 100 us, 20 ms |",
    ]
    assert made["posts"].splitlines()[2:] == ["| ours | 44.0 us | 19,000/s | 50% |"]
    goals = {goal.what.partition(":")[0]: (goal.measured, goal.met) for goal in report.publish_goals(found)}
    assert goals["1,000 channels x 1 at 1,000/s, CPU per event, of nchan's"] == ("1.5 x", True)
    assert goals["1,000 channels x 1 at 1,000/s, CPU per event, of Mercure's"] == ("1.20 x", False)
    assert goals["single events from 16 publishers, CPU each"] == ("44.0 us", True)
    assert goals["single events from 16 publishers"] == ("19,000/s", False)


@pytest.mark.parametrize(("users", "expected"), [(0, b"?channel=bench "), (10, b"?channel=bench.3 ")])
def test_events_take_the_channels_in_turn(users: int, expected: bytes) -> None:
    assert expected in load.Load._for(13, users, b"POST /publish?channel=bench HTTP/1.1")


def shapes() -> Any:
    def rounds(us: float, big: float | None) -> Any:
        one = window(cpu_us={"hub": us}, p99_ms=us)
        larger = None if big is None else window(rate=150, cpu_us={"hub": big})
        storm = {"streams": 900, "per_second": 300.0, "cpu_us_per_stream": {"hub": 50 * us}}
        return [{"low": one, "high": {**one, "rate": 200}, "big": larger, "storm": storm}] * 3

    return {"rounds": {"ours": rounds(4.0, 6.0), "nchan": rounds(5.0, 8.0), "sse-starlette": rounds(20.0, None)}}


def test_other_loads_have_a_table_and_goals_and_who_fell_behind_gets_no_larger_events() -> None:
    found: Any = {**result(), "shapes": shapes()}
    made = report.sections(found)
    assert made["shapes"].splitlines()[2::2] == [
        "| ours | 4.0 us, 5.0 / 4.0 ms | 4.0 us, 5.0 / 4.0 ms | 6.0 us, 5.0 / 20.0 ms | 200 us, 300/s |",
        "| sse-starlette | 20.0 us, 5.0 / 20.0 ms | 20.0 us, 5.0 / 20.0 ms | - | 1000 us, 300/s |",
    ]
    goals = {goal.what.partition(":")[0]: (goal.measured, goal.met) for goal in report.shape_goals(found)}
    assert goals == {
        "CPU per delivery at 20 events/s, client sleeps, of nchan's": ("0.80 x", False),
        "p99 at 20 events/s, client sleeps, of nchan's": ("0.80 x", True),
        "2 KB at 150 events/s, CPU per delivery, of nchan's": ("0.75 x", True),
        "a stream that comes and goes, CPU, of nchan's": ("0.80 x", True),
    }


def test_streams_that_come_and_go_are_counted_and_events_have_the_size_that_was_asked_for(library: Path) -> None:
    with Hub() as port:
        job: Any = {
            "port": port, "subscribe": "GET /a HTTP/1.1\r\n\r\n", "publish_head": "POST / HTTP/1.1\r\n",
            "publish_tail": "a PAYLOAD", "escape": False, "processes": {"hub": [os.getpid()]},
            "reader": str(library), "spin": False,
            "steps": [
                {"name": "subscribed", "kind": "subscribe", "count": 2, "settle": 0},
                {"name": "big", "kind": "window", "rate": 100, "seconds": 0.1, "grace": 5, "bytes": 2048},
                {"name": "storm", "kind": "storm", "seconds": 0.01},
            ],
        }  # fmt: skip
        made = load.Load(job)
        found: Any = [made.do(step) for step in job["steps"]]
        made.close()
    assert (found[1]["deliveries"], found[1]["lost"]) == (20, 0)
    assert found[2]["streams"] >= load.CONNECTS
    assert found[2]["streams"] % load.CONNECTS == 0
    assert len(made.event(1, b"PAYLOAD", 2048)) == 2048
