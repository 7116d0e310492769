"""What the kernel answers about sockets is what its tables in /proc say."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import listeners, socket_diag, tcp

ADDRESSES = ("127.0.0.1", "::1", "0.0.0.0", "::")


def refuse(*_: Any) -> None:
    raise OSError(errno.ENOENT, "this kernel does not answer")


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_listener_is_told_as_the_tables_tell_it(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server:
        port, inode = server.getsockname()[1], str(os.fstat(server.fileno()).st_ino)
        asked = [one for one in listeners.listeners("self") if one.port == port]
        assert asked == [listeners.Listener(address, port, "tcp", inode)]
        monkeypatch.setattr(socket_diag, "listening", refuse)
        assert [one for one in listeners.listeners("self") if one.port == port] == asked


@pytest.mark.parametrize("address", ADDRESSES[:2])
@pytest.mark.parametrize("process", ["self", "thread-self", "number"])
@pytest.mark.parametrize("answers", [True, False])
def test_a_connection_is_queued_until_a_program_accepts_it(
    monkeypatch: pytest.MonkeyPatch, address: str, process: str, *, answers: bool
) -> None:
    process = str(os.getpid()) if process == "number" else process
    if not answers:
        monkeypatch.setattr(socket_diag, "is_accepted", refuse)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as server, socket.socket(family) as client:
        client.connect(server.getsockname()[:2])
        assert tcp.is_queued(client, process)
        with server.accept()[0]:
            assert not tcp.is_queued(client, process)


def test_a_server_of_both_ip_families_accepts_over_ipv4() -> None:
    with (
        socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server,
        socket.create_connection(("127.0.0.1", server.getsockname()[1])) as client,
    ):
        assert tcp.is_queued(client, "self")
        with server.accept()[0]:
            assert not tcp.is_queued(client, "self")


def test_a_connection_that_ends_elsewhere_is_not_queued_here() -> None:
    assert socket_diag.is_accepted(("127.0.0.1", 1), ("127.0.0.1", 2)) is None
