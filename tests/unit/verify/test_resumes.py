"""A drill finds each event that a stream does not deliver, against a stand-in that serves streams."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify import resumes
from ansible_collections.sse.platform.plugins.module_utils.verify.resumes import Listed, ResumeError

LOG = [(f"{number}-0000000{number}", "ab"[number % 2]) for number in range(8)]
DRILL = cast("resumes.Drill", {"subscribe": "/stream"})


class Streams:
    """What a stand-in serves; tests change it."""

    def __init__(self) -> None:
        self.log = list(LOG)
        self.pieces = 100  # events of one connection, which then ends
        self.first = "retry: 1000\nid: 0-00000000\n\n: heartbeat\n\nevent: cursor\ndata: {}\nid: 0-00000000\n\n"
        self.served = 0


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Streams, Endpoint]]:
    state = Streams()
    monkeypatch.setattr(resumes, "ATTEMPTS", 4)
    monkeypatch.setattr(resumes.time, "sleep", lambda _: None)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.served += 1
            channels = parse_qs(urlsplit(self.path).query)["channel"]
            after = int(self.headers["Last-Event-ID"].partition("-")[0])
            due = [one for one in state.log if one[1] in channels and int(one[0].partition("-")[0]) > after]
            self.send_response(200)
            self.end_headers()
            body = state.first + "".join(f"data: x\nid: {identity}\n\n" for identity, _ in due[: state.pieces])
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield state, Endpoint("proxy", "127.0.0.1", server.server_port)
        server.shutdown()


def listed(*repeated: str) -> Listed:
    return resumes.parse("\n".join(f"{one} {channel}{' repeated' if one in repeated else ''}" for one, channel in LOG))


def test_every_event_is_resumed_also_where_streams_end_and_continue(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    state.pieces = 1
    assert resumes.compare(proxy, DRILL, listed(), ["a"]) == ""
    assert state.served == 3
    state.pieces = 100
    assert resumes.compare(proxy, DRILL, listed(), ["a", "b"]) == ""


def test_a_lost_event_is_named(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    state.log.remove(LOG[4])
    assert "1 of 3 events of a were not delivered, such as 4-00000004" in resumes.compare(proxy, DRILL, listed(), ["a"])


def test_a_repeated_event_need_not_come(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    state.log.remove(LOG[4])
    found = listed(LOG[4][0])
    assert resumes.compare(proxy, DRILL, found, ["a"]) == ""
    assert found.events == 7


def test_doubled_strange_and_misplaced_events_are_told(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    for wrong in ([*LOG[:3], LOG[2], *LOG[3:]], [*LOG[:3], ("3-ffffffff", "a"), *LOG[3:]], [LOG[4], *LOG]):
        state.log = wrong
        assert "doubled, out of order" in resumes.compare(proxy, DRILL, listed(), ["a"])


def test_the_end_of_the_log_that_never_comes_is_told(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    state.log = state.log[:-2]
    assert "2 events came, and not the last one (6-00000006)" in resumes.compare(proxy, DRILL, listed(), ["a"])


def test_a_gap_is_told(streams: tuple[Streams, Endpoint]) -> None:
    state, proxy = streams
    state.first = "event: gap\ndata: {}\nid: 0-00000000\n\n"
    assert "there is a gap" in resumes.compare(proxy, DRILL, listed(), ["a"])


def test_an_answer_that_is_no_list_is_refused() -> None:
    with pytest.raises(ResumeError, match="expected an id and a channel"):
        resumes.parse("Traceback (most recent call last):")


@pytest.mark.parametrize(("count", "size"), [(0, 0), (1, 1), (64, 1), (65, 2), (6400, 50)])
def test_channels_share_streams_where_there_are_many(count: int, size: int) -> None:
    found = list(resumes.groups([str(one) for one in range(count)]))
    assert sum(map(len, found)) == count
    assert max(map(len, found), default=0) == size
