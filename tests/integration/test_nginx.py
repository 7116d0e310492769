"""What clients meet at nginx, on the deployed stack."""

from __future__ import annotations

import collections
import concurrent.futures
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.soaking import soak, up
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually

HIDDEN_BYTES = 512 * 1024
TCP: dict[str, Any] = {
    "app_link": "tcp",
    "app_heartbeat_seconds": 1,
    "nginx_drain_seconds": 2,
    "nginx_config_extra": {"gzip": "on", "gzip_types": "text/event-stream", "gzip_min_length": "1"},
}


class Reader:
    """A stream through nginx' own address, byte by byte: no proxy of the engine in between."""

    def __init__(self, stack: Stack, channel: str, host: str = "10", port: int = 80, headers: str = "") -> None:
        self.socket = socket.create_connection((f"{stack.prefix}.{host}", port), timeout=30)
        request = f"GET /api/v1/stream?channel={channel} HTTP/1.1\r\nHost: it\r\n{headers}\r\n"
        self.socket.sendall(request.encode())
        self.bytes = b""
        self.until(b"\n\n")

    def until(self, text: bytes) -> None:
        """Read until a text has come."""
        while text not in self.bytes:
            part = self.socket.recv(65536)
            assert part, self.bytes[-1000:]
            self.bytes += part

    def rest(self) -> bytes:
        """Read to the end."""
        found = b""
        with contextlib.suppress(ConnectionResetError):
            while part := self.socket.recv(1 << 20):
                found += part
        return found

    @property
    def replica(self) -> str:
        """Who serves it."""
        found = re.search(rb"(?i)\r\nx-replica: (\S+)", self.bytes)
        assert found, self.bytes
        return found[1].decode()


@pytest.fixture
def channel() -> str:
    return f"it.{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def streams(stack: Stack, channel: str, count: int) -> Iterator[list[Reader]]:
    with contextlib.ExitStack() as held:
        opened = [Reader(stack, channel) for _ in range(count)]
        for one in opened:
            held.enter_context(one.socket)
        yield opened


def fair(shares: collections.Counter[str]) -> bool:
    """Whether three replicas serve about as much each: a stream that has just ended may still count."""
    return len(shares) == 3 and max(shares.values()) - min(shares.values()) <= 2


def balanced(stack: Stack, channel: str) -> collections.Counter[str]:
    with streams(stack, channel, 30) as opened:
        return collections.Counter(one.replica for one in opened)


def crash(stack: Stack, name: str) -> None:
    """Kill a container's first process, and wait until it runs and is ready again."""
    before = stack.container(name).attrs["State"]["Pid"]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: stack.container(name).attrs["State"]["Pid"] not in (0, before), f"{name} runs again", 60)
    eventually(lambda: stack.ready(int(name[-1])), f"{name} is ready again", 60)


def hidden(stack: Stack, channel: str) -> int:
    """How much a client that never reads was sent: what can be read once its replica is dead."""
    reader = Reader(stack, channel)
    beside = Reader(stack, channel, host=f"2{reader.replica[-1]}", port=8000)
    published = 0
    with httpx.Client(base_url=f"http://{stack.prefix}.10", timeout=30) as client:
        for _ in range(14):  # 3.4 MB
            batch = [{"channel": channel, "data": {"n": published + one, "x": "x" * 2000}} for one in range(120)]
            assert client.post("/api/v1/events", json=batch).status_code == 202
            published += len(batch)
    beside.until(b'"n":%d,' % (published - 1))  # so its replica has offered everything to both
    crash(stack, reader.replica.removeprefix(f"{stack.name}-"))
    rest = reader.rest()
    whole = re.sub(rb"\r\n[0-9a-f]+\r\n", b"", reader.bytes + rest)  # a chunk may end within a number, and so may all
    numbers = [int(one) for one in re.findall(rb'"n":(\d+),', whole)]
    assert numbers == list(range(len(numbers)))
    assert 0 < len(numbers) < published
    return len(rest)


def duplicates(stack: Stack) -> int:
    """Records that the replicas have read and dropped as duplicates."""
    texts = [httpx.get(f"http://{stack.prefix}.{20 + one}:8000/metrics", timeout=5).text for one in (1, 2, 3)]
    found = [re.search(r'sse_records_skipped_total\{reason="duplicate"\} ([\d.]+)', text) for text in texts]
    return sum(int(float(one[1])) for one in found if one)


def log_line(stack: Stack, path: str) -> dict[str, Any]:
    """The line of a request to this path; NGINX writes its lines once a second."""

    def found() -> list[dict[str, Any]]:
        lines = stack.container("nginx").logs(tail=200).decode().splitlines()
        return [line for line in map(loaded, lines) if line.get("path") == path]

    eventually(lambda: bool(found()), f"a line of {path}")
    [line] = found()
    return line


def loaded(line: str) -> dict[str, Any]:
    return json.loads(line) if line.startswith("{") else {}


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/metrics", "/docs", "/redoc", "/openapi.json", "/stub_status", "/health", "/health/ready", "/admin"),
        *("/api/v1/../../metrics", "/api/v1/%2e%2e/%2e%2e/metrics", "/api/v1/..%2f..%2fmetrics", "/api//../metrics"),
        *("/metrics/../api/v1/", "/API/v1/health/live", "/api/v1/metrics", "/api/v1/stub_status"),
    ],
)
def test_nothing_but_the_api_is_served_outside(stack: Stack, path: str) -> None:
    with socket.create_connection(("127.0.0.1", stack.http_port), timeout=10) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 404 "), answer[:300]


def test_who_a_client_claims_to_be_is_not_believed(stack: Stack, channel: str) -> None:
    claims = {"X-Forwarded-For": "203.0.113.7", "X-Real-IP": "203.0.113.7", "Forwarded": "for=203.0.113.7"}
    httpx.get(f"http://127.0.0.1:{stack.http_port}/api/v1/channels/{channel}/history", headers=claims, timeout=5)
    assert log_line(stack, f"/api/v1/channels/{channel}/history")["client"] == f"{stack.prefix}.1"


def test_streams_spread_evenly_and_a_replica_that_came_back_gets_its_share(stack: Stack, channel: str) -> None:
    assert fair(balanced(stack, channel))
    with streams(stack, channel, 9):
        crash(stack, "app-1")  # nginx has seen it fail
        with streams(stack, channel, 30) as opened:
            shares = collections.Counter(one.replica for one in opened)
    assert shares[f"{stack.name}-app-1"] >= 8


def test_a_client_over_http_2_and_tls_gets_events_as_they_come(stack: Stack, channel: str) -> None:
    curl = shutil.which("curl")
    assert curl, "this test speaks HTTP/2 through curl"
    url = f"https://127.0.0.1:{stack.http_port + 1}/api/v1/stream?channel={channel}"
    with subprocess.Popen(
        [curl, "--http2", "--insecure", "--silent", "--no-buffer", "--include", "--max-time", "60", url],
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout
        head = list(iter(client.stdout.readline, "\n"))
        first = list(iter(client.stdout.readline, "\n"))
        assert stack.publish(channel, "over two").status_code == 202
        event = list(iter(client.stdout.readline, "\n"))
        client.kill()
    assert head[0].startswith("HTTP/2 200")
    assert "retry: " in first[0]
    assert "data: over two\n" in event


def test_a_publish_that_a_paused_replica_holds_is_accepted_by_the_next_and_stored_once(
    stack: Stack, channel: str
) -> None:
    before = duplicates(stack)
    with streams(stack, channel, 3) as opened, concurrent.futures.ThreadPoolExecutor(6) as pool:
        stack.container("app-1").pause()
        try:
            answers = list(pool.map(lambda number: stack.publish(channel, number), range(6)))
        finally:
            stack.container("app-1").unpause()
        assert {one.status_code for one in answers} == {202}
        ids = {one.json()["ids"][0] for one in answers}
        assert len(ids) == 6
        # What the paused replica held, it has stored again under the same key: every replica drops it.
        eventually(lambda: duplicates(stack) > before, "the held publish is written and dropped", 30)
        assert stack.publish(channel, "last").status_code == 202
        for one in opened:
            one.until(b"last")
            assert len(re.findall(rb"\ndata: \d\n", one.bytes)) == 6


def test_no_new_stream_waits_for_a_paused_replica_and_the_others_go_on(stack: Stack, channel: str) -> None:
    with contextlib.ExitStack() as held, concurrent.futures.ThreadPoolExecutor(30) as pool:
        before = held.enter_context(streams(stack, channel, 6))
        stack.container("app-1").pause()
        try:
            # Each waits for its first block for 30 s at most: silence is borne for 45 s.
            opened = list(pool.map(lambda _: Reader(stack, channel), range(30)))
            for one in opened:
                held.enter_context(one.socket)
            assert stack.publish(channel, "while one hangs").status_code == 202
            for one in opened + [one for one in before if not one.replica.endswith("-app-1")]:
                one.until(b"while one hangs")
            shares = collections.Counter(one.replica[-5:] for one in opened)
            assert shares.keys() == {"app-2", "app-3"}
            assert min(shares.values()) >= 10
        finally:
            stack.container("app-1").unpause()

        def used_again() -> bool:
            one = Reader(stack, channel)
            held.enter_context(one.socket)
            return one.replica.endswith("-app-1")

        eventually(used_again, "the replica gets streams again", 60)


def test_the_proof_finds_streams_on_the_sockets(stack: Stack) -> None:
    run = stack.verify()
    assert run.code == 0, run.output
    assert "1 streams over a Unix socket" in run.output


def test_a_socket_that_nginx_may_not_write_is_named_and_tcp_serves(stack: Stack, channel: str) -> None:
    paths = [stack.state / f"shared/app/app-{one}.sock" for one in (1, 2, 3)]
    for path in paths:
        path.chmod(0o600)
    try:
        assert Reader(stack, channel).replica.startswith(f"{stack.name}-app-")
        assert "the proxy used TCP" in stack.verify().output
    finally:
        for path in paths:
            path.chmod(0o660)


def test_what_a_client_that_never_reads_can_hide_is_bounded_over_sockets(stack: Stack, channel: str) -> None:
    assert hidden(stack, channel) < HIDDEN_BYTES


@pytest.fixture(scope="class")
def switched(deployed: Stack) -> Iterator[tuple[Stack, dict[str, Any]]]:
    """The stack over TCP, and what subscribers saw of the change."""
    yield deployed, soak(deployed, command=up(deployed, **TCP))
    deployed.up()


class TestOverTcp:
    """With `app_link: tcp`, a heartbeat of one second, and compression that a user has switched on."""

    @pytest.fixture
    def stack(self, switched: tuple[Stack, dict[str, Any]]) -> Stack:
        return switched[0]

    def test_the_switch_under_streams_lost_nothing(self, switched: tuple[Stack, dict[str, Any]]) -> None:
        _, report = switched
        assert report["faults"][-1]["fault"] == "command"
        assert report["faults"][-1]["byes"] > 0  # replicas were replaced under their streams

    def test_streams_spread_evenly(self, stack: Stack, channel: str) -> None:
        assert fair(balanced(stack, channel))

    def test_a_stream_is_never_compressed(self, stack: Stack, channel: str) -> None:
        reader = Reader(stack, channel, headers="Accept-Encoding: gzip\r\n")
        assert b"content-encoding" not in reader.bytes.lower()
        assert b"\nid: " in reader.bytes

    def test_what_a_client_that_never_reads_can_hide_is_bounded(self, stack: Stack, channel: str) -> None:
        assert hidden(stack, channel) < HIDDEN_BYTES

    def test_three_heartbeats_bound_what_the_clients_of_a_paused_replica_wait(self, stack: Stack, channel: str) -> None:
        with streams(stack, channel, 3) as opened:
            held = next(one for one in opened if one.replica == f"{stack.name}-app-1")
            stack.container("app-1").pause()
            try:
                held.rest()  # ends although the replica says nothing
                with streams(stack, channel, 1) as later:  # asks it first, which has no streams left, and then the next
                    assert later[0].replica != held.replica
            finally:
                stack.container("app-1").unpause()

    def test_fifty_reloads_lose_nothing_and_leave_no_old_worker(self, stack: Stack) -> None:
        def workers() -> list[str]:
            return [" ".join(one) for one in stack.container("nginx").top()["Processes"] if "worker" in " ".join(one)]

        count = len(workers())
        again = f"docker exec {stack.name}-nginx nginx -e stderr -c /etc/nginx/nginx.conf -s reload"
        soak(stack, command=f"set -e; for n in $(seq 50); do {again}; done")
        eventually(lambda: len(workers()) == count, "the old workers are gone", 60)
        assert not [one for one in workers() if "shutting down" in one]

    def test_with_every_replica_down_nginx_starts_and_no_stream_gets_a_5xx(self, stack: Stack, channel: str) -> None:
        replicas = [stack.container(f"app-{one}") for one in (1, 2, 3)]
        for one in replicas:
            one.kill()
        try:
            stack.container("nginx").restart(timeout=5)
            url = f"http://127.0.0.1:{stack.http_port}/api/v1/stream?channel={channel}"
            eventually(lambda: served(url) is not None, "nginx answers", 30)
            answer = served(url)
            assert answer
            assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert re.fullmatch(r"retry: \d+\n\n", answer.text)
            refused = stack.publish(channel, 1)
            assert (refused.status_code, refused.json()["outcome"]) == (503, "unknown")
            read = stack.api("/channels")
            assert (read.status_code, read.headers["content-type"]) == (503, "application/problem+json")
            assert "outcome" not in read.json()
        finally:
            for one in replicas:
                one.start()
            eventually(lambda: all(stack.ready(one) for one in (1, 2, 3)), "the replicas are back", 60)
        assert fair(balanced(stack, channel))


def served(url: str) -> httpx.Response | None:
    try:
        return httpx.get(url, timeout=5)
    except httpx.HTTPError:
        return None
