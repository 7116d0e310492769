from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from sse_harness import APP, Client, Process, Replicas, Stream, eventually, fetch


@pytest.fixture
def process() -> Iterator[Process]:
    started = Process(SSE_DRAIN_SECONDS="2")
    yield started
    started.process.kill()
    started.process.communicate()


def test_sigterm_closes_the_listener_then_says_bye_spread_out_then_ends_with_status_0(process: Process) -> None:
    streams = [Stream(process.port) for _ in range(40)]
    cursor = {stream.block().id for stream in streams}.pop()
    idle = Client(process.port)
    idle.send("GET /health/live HTTP/1.1\nHost: x")
    assert idle.answer().status == 200
    process.process.send_signal(signal.SIGTERM)
    first = streams[0].block()
    assert [name for name, _ in first.fields] == ["retry", "event", "data", "id"]
    assert (first.event, first.json, first.id) == ("bye", {"reason": "draining"}, cursor)
    with pytest.raises(ConnectionRefusedError):
        Client(process.port)
    byes = [first, *(stream.block() for stream in streams[1:])]
    assert all(bye.event == "bye" for bye in byes)
    assert len({bye.fields[0] for bye in byes}) > 20  # jittered
    assert all(stream.block() is None for stream in streams)
    assert process.process.wait(60) == 0
    assert "Traceback" not in process.process.stderr.read()


def test_sigusr1_says_bye_on_every_stream_of_now_and_the_replica_goes_on(process: Process) -> None:
    streams = [Stream(process.port) for _ in range(20)]
    cursor = {stream.block().id for stream in streams}.pop()
    process.process.send_signal(signal.SIGUSR1)
    byes = [stream.block() for stream in streams]
    assert {(bye.event, bye.id) for bye in byes} == {("bye", cursor)}
    assert len({bye.fields[0] for bye in byes}) > 10  # jittered
    assert all(stream.block() is None for stream in streams)
    with Client(process.port) as client:
        body = b'{"channel":"a","data":1}'
        client.send(
            f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}", body
        )
        assert client.answer().status == 202
    with Stream(process.port, cursor=cursor) as back:
        assert back.events(1)[0].data == "1"


def test_while_it_drains_open_connections_are_told_to_go_elsewhere() -> None:
    with Replicas() as replica, Client(replica.port) as client, Client(replica.port) as other:
        replica.call(lambda: setattr(replica.service.hub, "draining", True))
        body = b'{"channel":"a","data":1}'
        client.send(
            f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}", body
        )
        answer = client.answer()
        assert (answer.status, answer.json["outcome"], answer.headers["connection"]) == (503, "unknown", "close")
        other.send("GET /api/v1/stream?channel=a HTTP/1.1\nHost: x")
        answer = other.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert answer.body.startswith(b"retry: ")
        assert replica.get("/health/ready").json["status"] == "draining"


def test_a_publish_in_flight_finishes_during_the_drain() -> None:
    with Replicas(drain_seconds=2) as replica:
        body = b'{"channel":"a","data":1}'
        with Client(replica.port) as client:
            client.send(
                f"POST /api/v1/events HTTP/1.1\nHost: x\nContent-Type: application/json\nContent-Length: {len(body)}",
                body[:10],
            )
            eventually(lambda: replica.service.settings)
            for server in replica._servers:
                server.should_exit = True
            time.sleep(0.15)  # uvicorn looks every 0.1 s
            client.socket.sendall(body[10:])
            assert client.answer().status in (202, 503)


def test_a_reader_that_does_not_read_does_not_hold_up_the_drain() -> None:
    with Replicas(write_buffer_bytes=8192, send_buffer_bytes=4096, drain_seconds=1) as replica:
        stream = Stream(replica.port, "slow", receive_buffer=4096)
        for n in range(50):
            replica.publish({"channel": "slow", "data": f"{n} {'x' * 10_000}"})
        begun = time.monotonic()
        replica.__exit__()
        assert time.monotonic() - begun < 3
        stream.socket.close()


def test_a_port_in_use_is_said_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        environment = {**os.environ, "SSE_HOST": "127.0.0.1", "SSE_PORT": str(taken.getsockname()[1])}
        ended = subprocess.run(
            [sys.executable, "-m", "sse_app"], cwd=APP, env=environment, capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2
    assert ended.stderr.startswith("sse_app: cannot listen on SSE_HOST, SSE_PORT: ")
    assert ended.stderr.count("\n") == 1


def test_the_health_command_fails_where_nothing_listens_and_where_the_replica_is_not_ready() -> None:
    with Replicas() as replica:
        environment = {**os.environ, "SSE_HOST": "127.0.0.1", "SSE_PORT": str(replica.port)}
        command = [sys.executable, "-S", "-m", "sse_app.health"]
        assert subprocess.run(command, cwd=APP, env=environment, check=False).returncode == 0
        replica.log.available = False
        eventually(lambda: fetch(f"http://127.0.0.1:{replica.port}/health/ready").status == 503)
        ended = subprocess.run(command, cwd=APP, env=environment, check=False, capture_output=True, text=True)
        assert ended.returncode == 1
        assert "unavailable" in ended.stdout
    ended = subprocess.run(command, cwd=APP, env=environment, check=False, capture_output=True, text=True)
    assert (ended.returncode, "no answer" in ended.stdout) == (1, True)
