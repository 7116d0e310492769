"""The health check of a replica, run by the engine: only an answer of 200 is healthy, and another one is printed."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Iterator

import pytest
from rendered import ROOT

PROGRAM = (ROOT / "roles/app/files/ready.sh").read_text()
READY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"
LATER = b'HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{"log":"no answer from kafka:9092"}'


class Replica:
    """Something that listens, and gives one answer to whoever asks."""

    def __init__(self, address: str, answer: bytes) -> None:
        self.socket = socket.create_server((address, 0), family=socket.AF_INET6 if ":" in address else socket.AF_INET)
        self.answer = answer
        self.asked = b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        connection, _ = self.socket.accept()
        with connection:
            # An end with bytes that nobody read is a reset, and takes the answer with it.
            while not self.asked.endswith(b"\r\n\r\n") and (more := connection.recv(4096)):
                self.asked += more
            connection.sendall(self.answer)


@pytest.fixture(autouse=True)
def ended() -> Iterator[list[Replica]]:
    made: list[Replica] = []
    yield made
    for one in made:
        one.socket.close()


def check(port: int, host: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "SSE_HOST": host, "SSE_PORT": str(port)}
    return subprocess.run(["bash", "-c", PROGRAM], env=given, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize(("host", "address"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1")])
def test_a_replica_that_answers_200_is_healthy_wherever_it_listens(
    ended: list[Replica], host: str, address: str
) -> None:
    ended.append(Replica(address, READY))
    found = check(ended[0].socket.getsockname()[1], host)
    assert (found.returncode, found.stdout) == (0, "")
    assert ended[0].asked.startswith(b"GET /health/ready HTTP/1.0\r\n")


@pytest.mark.parametrize(
    ("answer", "told"),
    [(LATER, '{"log":"no answer from kafka:9092"}'), (b"", "no answer"), (b"nonsense", "no answer")],
    ids=["not ready", "hung up", "no HTTP"],
)
def test_a_replica_that_is_not_ready_is_unhealthy_and_its_answer_is_printed(
    ended: list[Replica], answer: bytes, told: str
) -> None:
    ended.append(Replica("127.0.0.1", answer))
    found = check(ended[0].socket.getsockname()[1], "127.0.0.1")
    assert (found.returncode, found.stdout.strip()) == (1, told)


def test_a_replica_that_does_not_listen_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found = check(port, "127.0.0.1")
    assert found.returncode == 1
    assert "refused" in found.stderr
