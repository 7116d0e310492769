"""A server that answers a client without a user is found; one that refuses him, by a word or by silence, is not."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import strangers

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def served(request: pytest.FixtureRequest) -> Iterator[Endpoint]:
    """A server that sends these bytes to whoever asks, and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(request.param)

        threading.Thread(target=serve, daemon=True).start()
        yield Endpoint("s", "127.0.0.1", server.getsockname()[1])


@pytest.mark.parametrize(
    ("served", "answer", "told"),
    [
        (b"-NOAUTH Authentication required.\r\n", "-NOAUTH", ""),
        (b"+PONG\r\n", "-NOAUTH", "it answered b'+PONG\\r\\n'"),
        (b"", "", ""),
        (b"\0\0\0\1", "", "it answered b'\\x00\\x00\\x00\\x01'"),
        (b"", "-NOAUTH", "it answered b''"),
    ],
    indirect=["served"],
)
def test_only_a_refusal_passes(served: Endpoint, answer: str, told: str) -> None:
    assert strangers.ask(served, b"PING\r\n", answer.encode()) == told


def test_a_port_that_nobody_serves_neither_refuses_nor_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert strangers.ask(Endpoint("s", "127.0.0.1", port), b"x", b"-NOAUTH") is None


@pytest.mark.parametrize("sends", ["", "0", "zz", "00 01"])
def test_what_is_sent_is_written_in_whole_bytes(sends: str) -> None:
    with pytest.raises(SpecError, match="sends"):
        strangers.PARAMETERS({"sends": sends}, "redis.checks[0]")
