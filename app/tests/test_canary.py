"""The canary publishes events and watches streams: what is lost, doubled, late or closed is a number and a line."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
from sse_harness import Replicas

from sse_app import canary

Watching = Callable[..., canary.Canary]


def eventually(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, f"not within {seconds} s: {what}"
        time.sleep(0.02)


class Broken(ThreadingHTTPServer):
    """A server of events that does to each event what the test says: passes it on so many times."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.copies = 1
        self.status = 202
        self.ids = True
        self.turned_away = False
        self.heartbeats = True
        self.cut = threading.Event()
        self.streams: list[Queue[bytes]] = []
        self.credentials: set[str | None] = set()
        self.moved: dict[str, str] = {}  # where a path sends on to
        self.asked: list[tuple[str, str | None]] = []  # paths of streams, and the credential

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answers(BaseHTTPRequestHandler):
    server: Broken  # type: ignore[assignment]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.credentials.add(self.headers["Authorization"])
        if self.server.status == 202:
            frame = f"data: {json.dumps(body['data'])}\n"
            frame += f"id: {body['data']['number']}\n" if self.server.ids else ""
            for stream in self.server.streams:
                for _ in range(self.server.copies):
                    stream.put(f"{frame}\n".encode())
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        if self.path in self.server.moved:
            self.send_response(307)
            self.send_header("Location", self.server.moved[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        if self.server.turned_away:
            self.wfile.write(b"retry: 10\n\n")
            return
        frames: Queue[bytes] = Queue()
        self.server.streams.append(frames)
        self.wfile.write(
            b"retry: 10\nevent: cursor\ndata: {}\nid: 0\n\n" if self.server.ids else b"retry: 10\n: hello\n\n"
        )
        with contextlib.suppress(OSError):
            while not self.server.cut.is_set():
                try:
                    self.wfile.write(frames.get(timeout=0.02))
                except Empty:
                    self.wfile.write(b": heartbeat\n\n" if self.server.heartbeats else b"")
        self.server.streams.remove(frames)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def broken() -> Iterator[Broken]:
    with Broken() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.cut.set()
        server.shutdown()


@pytest.fixture
def watching() -> Iterator[Callable[..., canary.Canary]]:
    started: list[canary.Canary] = []

    def watch(*words: str) -> canary.Canary:
        made, _, _ = canary.build([*words, "--interval", "0.1", "--lost", "1", "--listen", "127.0.0.1:0"])
        made.start()
        started.append(made)
        return made

    yield watch
    for made in started:
        made.ended.set()


def value(made: canary.Canary, series: str) -> float:
    found = re.search(rf"^{re.escape(series)} (\S+)$", made.metrics(), re.MULTILINE)
    return float(found[1]) if found else -1


def at(made: canary.Canary, series: str, least: float) -> None:
    eventually(lambda: value(made, series) >= least, f"{series} >= {least}:\n{made.metrics()}")


def test_it_sees_its_events_on_every_stream_of_the_service_and_nobody_else_does(watching: Watching) -> None:
    with Replicas() as replica:
        see_its_events(f"http://127.0.0.1:{replica.port}/api/v1", watching)


def see_its_events(url: str, watching: Watching) -> None:
    made = watching(f"nginx={url}/stream", f"app-1={url}/stream", "--publish", f"{url}/events")
    for name in ("nginx", "app-1"):
        at(made, f'sse_canary_received_total{{replica="{name}"}}', 3)
        assert 0 < value(made, f'sse_canary_seconds{{replica="{name}"}}') < 60
        assert value(made, f'sse_canary_lost_total{{replica="{name}"}}') == 0
        assert value(made, f'sse_canary_doubled_total{{replica="{name}"}}') == 0
    at(made, 'sse_canary_openings_total{outcome="opened"}', 2)
    with urllib.request.urlopen(f"{url}/stats", timeout=60) as answer:
        assert json.load(answer)["subscribers"] == 0
    with urllib.request.urlopen(f"{url}/stream?channel=*", timeout=60) as everything:
        assert b"canary" not in everything.readline() + everything.readline()


def test_an_event_that_is_accepted_and_never_comes_is_counted_and_told(
    broken: Broken, watching: Watching, capfd: pytest.CaptureFixture[str]
) -> None:
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    at(made, 'sse_canary_received_total{replica="one"}', 1)
    assert value(made, 'sse_canary_lost_total{replica="one"}') == 0
    broken.copies = 0
    at(made, 'sse_canary_late_seconds{replica="one"}', 0.1)
    at(made, 'sse_canary_lost_total{replica="one"}', 1)
    [line, *_] = [json.loads(one) for one in capfd.readouterr().err.splitlines() if "did not come" in one]
    assert line["stream"] == "one"


def test_in_a_stream_that_hangs_an_event_is_late_and_not_lost(broken: Broken, watching: Watching) -> None:
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    at(made, 'sse_canary_received_total{replica="one"}', 1)
    broken.heartbeats, broken.copies = False, 0
    at(made, 'sse_canary_late_seconds{replica="one"}', 1.5)
    assert value(made, 'sse_canary_lost_total{replica="one"}') == 0


def test_an_event_that_comes_twice_is_counted(broken: Broken, watching: Watching) -> None:
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    broken.copies = 2
    at(made, 'sse_canary_doubled_total{replica="one"}', 1)
    assert value(made, 'sse_canary_lost_total{replica="one"}') == 0


@pytest.mark.parametrize("data", ['{"canary": 1, "number": 1e999}', "[" * 60_000, '{"canary": {}}', "7", '"\\ud800"'])
def test_what_others_write_into_its_channel_does_not_end_its_watch(data: str) -> None:
    watched = canary.Watched("one", canary.Server("http://localhost"), "run", threading.Event())
    watched.take("message", data, 0.0, {}.get)
    watched.take("message", '{"canary": "run", "number": 1}', 0.0, {}.get)
    assert watched.received == 1


def test_what_was_not_accepted_is_not_expected(broken: Broken, watching: Watching) -> None:
    broken.status = 503
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    at(made, 'sse_canary_publishes_total{outcome="failed"}', 3)
    broken.status = 403
    at(made, 'sse_canary_publishes_total{outcome="refused"}', 3)
    assert value(made, 'sse_canary_lost_total{replica="one"}') == 0


@pytest.mark.parametrize("ids", [True, False])
def test_a_stream_that_was_cut_is_opened_again_and_only_what_it_resumes_is_expected(
    broken: Broken, watching: Watching, ids: bool
) -> None:
    broken.ids = ids
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    at(made, 'sse_canary_received_total{replica="one"}', 1)
    broken.cut.set()
    at(made, 'sse_canary_reconnects_total{replica="one"}', 1)
    broken.cut.clear()
    before = value(made, 'sse_canary_received_total{replica="one"}')
    at(made, 'sse_canary_received_total{replica="one"}', before + 3)
    assert value(made, 'sse_canary_stream_open{replica="one"}') == 1


def test_what_a_gap_tells_of_is_not_lost_in_silence(capfd: pytest.CaptureFixture[str]) -> None:
    made, _, _ = canary.build(["http://there", "--publish", "http://there"])
    [watched] = made.watched
    watched.begin(0.0)
    for number in (1, 2):
        watched.expect(number)
    watched.take("gap", '{"reason": "expired"}', 0.0, made.begun.get)
    watched.expect(3)
    watched.heard = time.monotonic() + 1
    watched.count_lost(0.0)
    assert watched.lost == 1  # the one after the gap
    assert "the stream has told of a gap" in capfd.readouterr().err


def test_what_a_stream_is_to_resume_with_has_a_bound() -> None:
    made, _, _ = canary.build(["http://there", "--publish", "http://there"])
    [watched] = made.watched
    for number in range(canary.AWAITED + 5):
        watched.expect(number)
    assert len(watched.waiting) == canary.AWAITED
    assert min(watched.waiting) == 5


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is watched should be there by now: a failure counts at once."""
    monkeypatch.setattr(canary, "START_SECONDS", 0.0)


@pytest.mark.usefixtures("soon")
def test_a_stream_that_turns_everybody_away_has_opened_for_nobody(broken: Broken, watching: Watching) -> None:
    broken.turned_away = True
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events")
    at(made, 'sse_canary_openings_total{outcome="failed"}', 2)


def test_it_sends_a_credential_and_reads_it_again_each_time(broken: Broken, watching: Watching, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("canary.first\n")
    made = watching(f"one={broken.url}/stream", "--publish", f"{broken.url}/events", "--key-file", str(key))
    at(made, 'sse_canary_received_total{replica="one"}', 1)
    key.write_text("canary.second\n")
    eventually(lambda: broken.credentials == {"Bearer canary.first", "Bearer canary.second"}, "both are sent")


def test_alone_it_measures_any_stream(broken: Broken, watching: Watching) -> None:
    broken.ids = False
    made = watching(f"{broken.url}/any?x=1")
    name = f"{broken.url}/any?x=1"
    at(made, f'sse_canary_stream_open{{replica="{name}"}}', 1)
    assert 0 < value(made, f'sse_canary_first_byte_seconds{{replica="{name}"}}') < 60
    assert "sse_canary_lost_total" not in made.metrics()
    broken.cut.set()
    at(made, f'sse_canary_reconnects_total{{replica="{name}"}}', 1)


def test_it_answers_prometheus(broken: Broken) -> None:
    made, *_ = canary.build([f"one={broken.url}/stream"])  # not started: a round would say when it began
    with canary.serve(made, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for path in ("metrics", "health"):
            with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/{path}", timeout=60) as answer:
                assert answer.status == 200
        made.sent = 1.0  # no round has begun for decades
        with pytest.raises(urllib.error.HTTPError, match="503"):
            urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/health", timeout=60)
        server.shutdown()


def test_it_is_sent_on_as_a_browser_is_and_tells_its_credential_to_nobody_else(
    broken: Broken, watching: Watching
) -> None:
    with Broken() as other:
        threading.Thread(target=other.serve_forever, daemon=True).start()
        broken.moved = {"/old": "new", "/new": f"http://localhost:{other.server_port}/stream"}
        made = watching(f"one={broken.url}/old", "--header", "Authorization: Bearer secret")
        at(made, 'sse_canary_stream_open{replica="one"}', 1)
        assert set(broken.asked) == {("/old", "Bearer secret"), ("/new", "Bearer secret")}
        assert set(other.asked) == {("/stream", None)}
        other.cut.set()
        other.shutdown()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("place", "reason"), [("/old", "sends on more than 5 times"), ("javascript:x", "which is no web address")]
)
def test_who_is_sent_on_to_nowhere_says_so(
    place: str, reason: str, broken: Broken, watching: Watching, capfd: pytest.CaptureFixture[str]
) -> None:
    broken.moved = {"/old": place}
    made = watching(f"one={broken.url}/old")
    at(made, 'sse_canary_openings_total{outcome="failed"}', 1)
    assert value(made, 'sse_canary_stream_open{replica="one"}') == 0
    assert reason in capfd.readouterr().err


def test_its_channel_joins_the_query_that_an_address_has() -> None:
    made, *_ = canary.build(["http://there/stream?meta=1", "--publish", "http://there/events"])
    assert made.watched[0].server.url == "http://there/stream?meta=1&channel=sse-platform.canary"
    alone, *_ = canary.build(["http://there/stream?meta=1#x"])
    assert alone.watched[0].server.url == "http://there/stream?meta=1#x"


def test_without_an_address_it_answers_over_every_family_of_this_kernel(broken: Broken, watching: Watching) -> None:
    made = watching(f"one={broken.url}/stream")
    _, address, _ = canary.build(["http://there", "--listen", ":9310"])
    with canary.serve(made, address, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        hosts = ["127.0.0.1"]
        with contextlib.suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
            hosts.append("[::1]")
        for host in hosts:
            with urllib.request.urlopen(f"http://{host}:{server.server_port}/health", timeout=60) as answer:
                assert answer.status == 200
        server.shutdown()


@pytest.mark.parametrize(("given", "host"), [("[::1]:9310", "::1"), ("127.0.0.1:9310", "127.0.0.1"), (":9310", "")])
def test_an_address_to_listen_at_is_of_either_family(given: str, host: str) -> None:
    assert canary.build(["http://there", "--listen", given])[1:] == (host, 9310)


def test_as_a_program_it_runs_alone_and_ends_when_it_is_told_to(broken: Broken) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [f"news={broken.url}/stream", "--listen", f"127.0.0.1:{port}", "--interval", "0.1"]
    # -I: nothing but Python's own library.
    with subprocess.Popen([sys.executable, "-I", str(Path(canary.__file__)), *words]) as process:

        def watches() -> bool:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                return b'sse_canary_stream_open{replica="news"} 1' in answer.read()
            return False

        eventually(watches, "the stream is open")
        process.terminate()
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    "words", [["ftp://there"], ["nowhere"], ["http://there", "--listen", "x"], ["http://t", "--header", "x"]]
)
def test_words_that_make_no_sense_are_refused(words: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        canary.build(words)
    assert ended.value.code == 2
    assert "expected" in capsys.readouterr().err
