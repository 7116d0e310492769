"""The Unix socket beside the port: `SSE_SOCKET_PATH`."""

from __future__ import annotations

import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sse_harness import APP, Client, Process, Stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "replica.sock"


@pytest.fixture
def process(path: Path) -> Iterator[Process]:
    started = Process(SSE_SOCKET_PATH=str(path), SSE_REPLICA="replica-7", SSE_DRAIN_SECONDS="1")
    yield started
    started.process.kill()
    started.process.communicate()


def publish(endpoint: int | Path, data: str) -> int:
    body = b'{"channel":"a","data":"%b"}' % data.encode()
    with Client(endpoint) as client:
        client.send(
            f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}", body
        )
        return client.answer().status


def metric(process: Process, line: str) -> float:
    with Client(process.port) as client:
        client.send("GET /metrics HTTP/1.1\nHost: x")
        found = [one.rpartition(" ")[2] for one in client.answer().body.decode().splitlines() if one.startswith(line)]
    return float(found[0]) if found else 0


def test_the_service_listens_on_both_and_writes_directly_to_either(process: Process, path: Path) -> None:
    streams = [Stream(path, "a"), Stream(process.port, "a")]
    assert {stream.headers["x-replica"] for stream in streams} == {"replica-7"}
    assert (publish(path, "1"), publish(process.port, "2")) == (202, 202)
    assert [[block.data for block in stream.events(2)] for stream in streams] == [["1", "2"]] * 2
    assert metric(process, 'sse_streams_total{path="direct"}') == 2
    assert metric(process, 'sse_streams_total{path="send"}') == 0


def test_only_owner_and_group_reach_it(process: Process, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_sigterm_takes_the_socket_away_before_the_streams_end(process: Process, path: Path) -> None:
    stream = Stream(path, "a")
    stream.block()
    process.process.send_signal(signal.SIGTERM)
    assert stream.block().event == "bye"
    assert not path.exists()
    assert process.process.wait(60) == 0


def test_what_a_killed_process_left_is_replaced(process: Process, path: Path) -> None:
    process.process.kill()
    process.process.wait()
    assert path.is_socket()
    again = Process(SSE_SOCKET_PATH=str(path), SSE_DRAIN_SECONDS="0")
    try:
        assert publish(path, "1") == 202
    finally:
        again.process.kill()
        again.process.communicate()


@pytest.mark.parametrize("taken", [True, False], ids=["somebody listens there", "it is no socket"])
def test_a_path_that_is_taken_is_said_in_one_line_and_left_alone(path: Path, taken: bool) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        if taken:
            other.bind(str(path))
            other.listen()
        else:
            path.write_text("precious")
        before = path.lstat()
        environment = {"SSE_HOST": "127.0.0.1", "SSE_PORT": "0", "SSE_SOCKET_PATH": str(path)}
        ended = subprocess.run(
            [sys.executable, "-m", "sse_app"], cwd=APP, env=environment, capture_output=True, text=True, check=False
        )
        assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)
    assert ended.returncode == 2
    assert ended.stderr.startswith("sse_app: cannot listen on SSE_SOCKET_PATH: ")
    assert ended.stderr.count("\n") == 1


def test_what_a_reader_that_never_reads_can_hide_is_bounded_there_too(process: Process, path: Path) -> None:
    stream = Stream(path, "a")
    stream.block()
    for _ in range(25):
        assert publish(process.port, "x" * 60_000) == 202
    process.process.kill()  # what the replica itself holds goes with it; the kernel's part stays
    process.process.wait()
    hidden = 0
    while part := stream.socket.recv(1 << 20):
        hidden += len(part)
    assert 0 < hidden < 256 * 1024
