"""Properties of the way from A to B: every target answers for itself, and the first step that fails is named."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import namespace, probe, tcp

HOME = "127.0.0.1"


@contextmanager
def full_backlog() -> Iterator[tuple[str, int]]:
    """A listener whose queue is full: the kernel drops further connections without a word."""
    with socket.create_server((HOME, 0), backlog=0) as server, socket.socket() as first, socket.socket() as second:
        for sock in (first, second):
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        yield server.getsockname()


def closed_port() -> tuple[str, int]:
    with socket.create_server((HOME, 0)) as server:
        return server.getsockname()


def test_every_target_is_judged_by_its_own_answer() -> None:
    with socket.create_server((HOME, 0)) as server, full_backlog() as silent:
        open_, closed = server.getsockname(), closed_port()
        found = tcp.connect_all([open_, closed, silent, open_], seconds=0.3)
    assert {target: one.error for target, one in found.items()} == {
        open_: "",
        closed: "Connection refused",
        silent: "timed out",
    }


def test_a_connection_takes_what_the_kernel_measured_and_not_what_the_batch_took(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = iter(range(1000))
    with socket.create_server((HOME, 0)) as server:
        monkeypatch.setattr(tcp.time, "monotonic", lambda: next(slow) / 100)  # a busy host: 10 ms between two lines
        found = tcp.connect_all([server.getsockname()])[server.getsockname()]
        assert not found.error
        assert 0 < found.seconds < 0.005
        monkeypatch.setattr(tcp, "RTT", 4000)  # a kernel that does not tell
        assert tcp.connect_all([server.getsockname()])[server.getsockname()].seconds >= 0.01


def test_what_is_silent_is_tried_again_and_only_what_is_needed_once_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[set[tcp.Target]] = []

    def connect_all(targets: set[tcp.Target], seconds: float = 1.0) -> dict[tcp.Target, tcp.Attempt]:
        tried.append(set(targets))
        known = {busy: 1, busier: 2}
        return {one: tcp.Attempt("" if len(tried) > known.get(one, 9) else tcp.TIMED_OUT, seconds) for one in targets}

    monkeypatch.setattr(tcp, "connect_all", connect_all)
    busy, busier, firewalled = ("10.0.0.1", 1), ("10.0.0.2", 2), ("10.0.0.3", 3)
    found = tcp.connect_patiently({busy, busier, firewalled}, {busier})
    assert tried == [{busy, busier, firewalled}, {busy, busier, firewalled}, {busier}]
    assert {one for one in found if found[one].error} == {firewalled}


def hang_up(server: socket.socket) -> None:
    """Hang up on two connections: the one that is tried, and the one that asks."""
    for _ in range(2):
        server.accept()[0].close()


class Answering(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(418)
        self.end_headers()
        self.wfile.write(b"short and stout")

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every namespace is this one; the integration tests enter those of containers."""

    def inside(_: int, work: Callable[[], object]) -> object:
        return work()

    def resolve(_: int, name: str) -> list[str]:
        if name == "nobody":
            raise OSError("no such name")
        return [HOME]

    monkeypatch.setattr(namespace, "inside", inside)
    monkeypatch.setattr(namespace, "resolve", resolve)


@pytest.mark.usefixtures("here")
def test_the_way_is_taken_as_far_as_asked_and_each_step_is_timed() -> None:
    with HTTPServer((HOME, 0), Answering) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_port
        found = probe.measure(1, "tea", port, "/pot")
        assert (found.failed, found.status, found.answer) == ("", 418, "418 short and stout")
        assert None not in (found.resolve_seconds, found.connect_seconds, found.http_seconds)
        short = probe.measure(1, "tea")
        assert (short.addresses, short.connect_seconds) == ([HOME], None)
        server.shutdown()


@pytest.mark.usefixtures("here")
def test_the_first_step_that_fails_is_named() -> None:
    assert probe.measure(1, "nobody", 80)[:3] == ([], "resolve", "no such name")
    assert probe.measure(1, HOME, closed_port()[1], "/")[:3] == ([HOME], "connect", "Connection refused")
    with full_backlog() as silent, socket.create_server((HOME, 0)) as mute:
        assert probe.measure(1, HOME, silent[1])[1:3] == ("connect", "timed out")
        Thread(target=hang_up, args=[mute], daemon=True).start()
        assert probe.measure(1, HOME, mute.getsockname()[1], "/").failed == "http"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("servers", [["thread-self"], ["self", "thread-self"]])
def test_silence_is_no_answer_where_an_answer_is_wanted(monkeypatch: pytest.MonkeyPatch, servers: list[str]) -> None:
    monkeypatch.setattr(probe, "ACCEPT_SECONDS", 0.3)
    with socket.create_server((HOME, 0)) as reserved:
        port = reserved.getsockname()[1]
        assert probe.measure(1, HOME, port, servers=servers)[1:3] == ("connect", tcp.NOT_ACCEPTED)
        assert probe.measure(1, HOME, port).failed == ""
    with socket.create_server((HOME, 0)) as proxy:
        Thread(target=hang_up, args=[proxy], daemon=True).start()
        assert probe.measure(1, HOME, proxy.getsockname()[1], servers=servers)[1:3] == ("connect", tcp.CLOSED)
