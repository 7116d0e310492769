"""The check of deliveries against stand-ins of NGINX and of replicas, each of which goes wrong in one way."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.deliveries import Frames


@dataclass
class Platform:
    """Replicas that share a log, and a balancer in front; one of its habits may be bad."""

    names: list[str]
    loses: str = ""  # this subscriber misses what others published
    doubles: str = ""  # this subscriber gets everything twice
    unused: str = ""  # the balancer never picks this replica
    refuses: int = 0  # status of every publish
    no_stream: str = ""  # answers 503 to streams
    ends: str = ""  # says bye after the first frame
    streams: list[tuple[str, queue.Queue[str]]] = field(default_factory=list)
    wants: str = ""  # the Authorization header without which nothing is answered
    turn: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def next_replica(self) -> str:
        with self.lock:
            self.turn += 1
            picked = [name for name in self.names if name != self.unused]
            return picked[self.turn % len(picked)]

    def publish(self, event: dict[str, Any], by: str) -> None:
        frame = f"event: {event['event']}\ndata: {json.dumps(event['data'])}\nid: 1\n\n"
        with self.lock:
            for name, stream in self.streams:
                if name == self.loses and by != name and event["data"]["marker"] != "fence":
                    continue
                for _ in range(2 if name == self.doubles else 1):
                    stream.put(frame)


def handler(platform: Platform, server: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def refused(self) -> bool:
            if not platform.wants or self.headers["Authorization"] == platform.wants:
                return False
            self.send_error(401)
            return True

        def do_POST(self) -> None:
            if self.refused():
                return
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            by = platform.next_replica()
            status = platform.refuses or 202
            if status == 202:
                platform.publish(event, by)
            body = b'{"ids": ["1-x"]}' if status == 202 else b'{"title": "Kafka is away"}'
            self.send_response(status)
            self.send_header("X-Replica", by)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            if self.refused():
                return
            if server == platform.no_stream:
                self.send_error(503)
                return
            stream: queue.Queue[str] = queue.Queue()
            stream.put("retry: 1000\nid: 0-x\n\n")
            if server == platform.ends:
                stream.put('event: bye\ndata: {"reason": "draining"}\n\n')
                stream.put("")
            with platform.lock:
                platform.streams.append((server, stream))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            while frame := stream.get():
                self.wfile.write(frame.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    return Handler


@contextmanager
def running(platform: Platform) -> Iterator[tuple[Endpoint, list[Endpoint]]]:
    servers = {
        name: ThreadingHTTPServer(("127.0.0.1", 0), handler(platform, name)) for name in ["nginx", *platform.names]
    }
    for server in servers.values():
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    endpoints = [Endpoint(name, "127.0.0.1", server.server_address[1]) for name, server in servers.items()]
    try:
        yield endpoints[0], endpoints[1:]
    finally:
        for server in servers.values():
            server.shutdown()
            server.server_close()


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "DELIVER_SECONDS", 2.0)
    monkeypatch.setattr(deliveries, "PAUSES", (0.0, 0.05))


REPLICAS = ["app-1", "app-2", "app-3"]
WAY: deliveries.Parameters = {
    "through": "nginx",
    "port": 8000,
    "sockets": {},
    "health": "/api/v1/health/live",
    "publish": "/api/v1/events",
    "subscribe": "/api/v1/stream",
    "channel": "sse-platform.verify",
    "key": None,
}


def findings(**habits: Any) -> list[tuple[str, str]]:
    with running(Platform(REPLICAS, **habits)) as (nginx, replicas):
        return [(finding.subject, finding.evidence) for finding in deliveries.travel(WAY, nginx, replicas).findings]


def test_a_platform_that_works_has_no_findings_and_every_delivery_is_counted() -> None:
    with running(Platform(REPLICAS)) as (nginx, replicas):
        passage = deliveries.travel(WAY, nginx, replicas)
    assert passage.findings == []
    assert passage.published >= 3
    assert passage.deliveries == (passage.published + 1) * 4


def test_replicas_may_take_events_where_nobody_listens_at_them() -> None:
    with running(Platform(REPLICAS)) as (nginx, __):
        passage = deliveries.travel(WAY, nginx, [], names=REPLICAS)
    assert passage.findings == []
    assert passage.deliveries == passage.published + 1
    with running(Platform(REPLICAS, unused="app-3")) as (nginx, __):
        [found] = deliveries.travel(WAY, nginx, [], names=REPLICAS).findings
    assert found.subject == "app-3"


def test_where_a_key_is_needed_it_goes_with_every_publish_and_every_stream() -> None:
    with running(Platform(REPLICAS, wants="Bearer sse-platform-verify.s")) as (nginx, replicas):
        keyed = [endpoint._replace(key="sse-platform-verify.s") for endpoint in (nginx, *replicas)]
        assert deliveries.travel(WAY, keyed[0], keyed[1:]).findings == []
        without = deliveries.travel(WAY, nginx, replicas).findings
    assert {finding.evidence[:3] for finding in without} == {"401"}


def test_lost_events_are_told_with_who_accepted_them() -> None:
    assert findings(loses="app-2") == [("app-2", "2 of 3 missing, accepted by app-1, app-3")]


def test_doubled_events_are_told() -> None:
    assert findings(doubles="nginx") == [("nginx", "3 of 3 doubled, accepted by app-1, app-2, app-3")]


def test_a_replica_that_nginx_never_picks_is_told() -> None:
    assert findings(unused="app-3") == [("app-3", "9 publishes, served by app-1, app-2, and none by it")]


def test_a_refused_publish_is_told_once_with_the_answer() -> None:
    [(replica, got)] = findings(refuses=503)
    assert replica in REPLICAS
    assert got == '503 {"title": "Kafka is away"}'


def test_a_stream_that_is_refused_is_told() -> None:
    [(name, got)] = findings(no_stream="app-1")
    assert name == "app-1"
    assert got.startswith("503")


def test_a_stream_that_ends_is_told_with_its_reason() -> None:
    assert ("app-1", 'event bye: {"reason": "draining"}') in findings(ends="app-1")


def test_nobody_at_the_entry_is_told() -> None:
    with running(Platform(REPLICAS)) as (_, replicas):
        found = deliveries.travel(WAY, Endpoint("nginx", "127.0.0.1", 1), replicas).findings
    assert {finding.subject for finding in found} == {"nginx"}
    assert all("refused" in finding.evidence for finding in found)


@pytest.mark.parametrize(
    ("lines", "seen"),
    [
        (["event: verify", 'data: {"run": "r", "marker": "1"}', "id: 5-a", ""], {"1": 1}),
        (['data:{"run": "r",', 'data: "marker": "1"}', ""], {"1": 1}),
        (['data: {"run": "other", "marker": "1"}', ""], {}),
        ([": heartbeat", "", "id: 5-a", "", "data: plain", "", "data: [1]", ""], {}),
        (['data: {"run": "r", "marker": "1"}'], {}),
    ],
    ids=["ours", "several data lines", "another run's", "other frames", "unfinished frame"],
)
def test_only_whole_frames_of_this_run_count(lines: list[str], seen: dict[str, int]) -> None:
    frames = Frames("r")
    for line in lines:
        frames.feed(line)
    assert frames.markers == seen
