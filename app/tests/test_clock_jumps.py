"""The clock of a host is set while streams are open: nothing is lost, doubled or out of order, and keys still hold.

libfaketime of Debian changes what a replica takes for the time of day. What measures durations (CLOCK_MONOTONIC) goes
on, as where somebody sets the clock of a host, or a virtual machine wakes up.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sse_harness import Process, Stream, fetch

# How far the clock is from the true time, one after the other, and whether that sets it back.
JUMPS = (("+1h", False), ("-2d", True), ("+400d", False), ("-1h", True), ("+0", False))
KEY_HEADER = "Idempotency-Key"


class Replica:
    """A replica whose clock can be set."""

    def __init__(self, clock: Path, library: Path) -> None:
        self.clock = clock
        self.set("+0")
        self.process = Process(
            LD_PRELOAD=str(library),
            FAKETIME_TIMESTAMP_FILE=str(clock),
            FAKETIME_NO_CACHE="1",
            FAKETIME_DONT_FAKE_MONOTONIC="1",
            SSE_HEARTBEAT_SECONDS="1",
        )
        self.port = self.process.port

    def set(self, offset: str) -> None:
        """Set the clock, as far from the true time as this says."""
        fresh = self.clock.with_suffix(".new")
        fresh.write_text(offset)
        fresh.replace(self.clock)

    def publish(self, data: str) -> str:
        body = json.dumps({"channel": "c", "data": data}).encode()
        answer = fetch(f"http://127.0.0.1:{self.port}/api/v1/events", body, {KEY_HEADER: data})
        assert answer.status == 202, answer
        return answer.json["ids"][0]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("faketime")
    fetched = (
        shutil.which("apt-get")
        and not subprocess.run(
            ["apt-get", "-qq", "download", "libfaketime"], cwd=directory, check=False, capture_output=True
        ).returncode
    )
    if not fetched:
        pytest.skip("this machine gets no libfaketime from Debian")
    subprocess.run(["dpkg-deb", "--extract", str(next(directory.glob("*.deb"))), str(directory)], check=True)
    return next(directory.glob("usr/lib/*/faketime/libfaketime.so.1"))


@pytest.fixture
def replica(library: Path, tmp_path: Path) -> Iterator[Replica]:
    found = Replica(tmp_path / "clock", library)
    yield found
    found.process.process.kill()
    found.process.process.communicate()


def test_a_clock_that_jumps_loses_doubles_and_reorders_nothing(replica: Replica) -> None:
    ids = [replica.publish("before")]
    with Stream(replica.port, "c", last="1") as stream, Stream(replica.port, "other") as idle:
        assert idle.block()
        begin, earlier = stream.events(1)[0].id, "before"
        for jump, is_back in JUMPS:
            replica.set(jump)
            ids += [replica.publish(f"{jump}.{number}") for number in range(3)]
            assert replica.publish(f"{jump}.0") == ids[-3]
            if is_back:  # where it is set forward, a key is as old as the clock says
                assert replica.publish(earlier) == ids[-4]
            earlier = f"{jump}.2"
            assert fetch(f"http://127.0.0.1:{replica.port}/health/ready").status == 200
            assert idle.chunk()  # a heartbeat: nothing is published there
        assert [one.id for one in stream.events(len(ids) - 1)] == ids[1:]
        with Stream(replica.port, "c", cursor=begin) as back:
            assert [one.id for one in back.events(len(ids) - 1)] == ids[1:]


def test_the_time_of_an_event_is_that_of_the_clock(replica: Replica) -> None:
    replica.publish("now")
    replica.set("+400d")
    replica.publish("later")
    with Stream(replica.port, "c", last="2", meta="1") as stream:
        times = [dt.datetime.fromisoformat(one.json["time"]) for one in stream.events(4) if one.event == "meta"]
    assert dt.timedelta(days=399) < times[1] - times[0] < dt.timedelta(days=401)
