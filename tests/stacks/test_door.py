"""What a real nginx does with the configuration as the role writes it, in front of replicas that misbehave."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack, eventually
from ansible_collections.sse.platform.tests.stacks import hostile_http
from rendered import HOSTS, render

NAME = {"Host": "sse.example.org"}
SMALL: dict[str, Any] = {
    **HOSTS["production"],
    "app_replicas": 3,
    "exposure_plain_http": "serve",
    "exposure_connections_per_address": 30,
    "exposure_publishes_at_once": 10,
    "exposure_large_publishes_per_second": 1,
}
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "open": {},
    "closed": {**HOSTS["production"], "app_replicas": 3, "exposure_hosts": ["sse.example.org"]},
    "small": SMALL,
    "quick": {"app_heartbeat_seconds": 1},
}


class Replica(threading.Thread):
    """A server that answers, dies at each request, or is slow; `seen` holds what it got.

    One that offers says how many streams it had, and one that hangs does so, too, and says nothing until it is awake.
    """

    def __init__(self, kind: str, seen: list[str], number: int = 0) -> None:
        super().__init__(daemon=True)
        self.kind, self.seen, self.number = kind, seen, number
        self.streams = 0
        self.awake = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        if kind == "away":
            self.listener.close()
        else:
            self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            while line := lines.readline():
                length, rival = 0, b""
                while header := lines.readline().strip():
                    name, _, value = header.lower().partition(b":")
                    length = int(value) if name == b"content-length" else length
                    rival = value.strip() if name == b"sse-offer" else rival
                body = lines.read(length)
                if self.kind == "hangs":
                    self.awake.wait(60)
                if self.kind in ("offers", "hangs") and b" /health/stream " in line:
                    client.sendall(self.offer(rival))
                    continue
                self.streams += 1
                if b" /health/stream " not in line:
                    self.seen.append(f"{line.decode().rpartition(' ')[0]} {len(body)}".strip())
                if self.kind == "dies":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
                if self.kind == "holds":
                    threading.Event().wait(4)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Replica: %d\r\n\r\nok" % self.number)

    def offer(self, rival: bytes) -> bytes:
        """Answer like sse_app/http/offer.py."""
        own = b"sse-app-%d %d" % (self.number, self.streams)
        if not rival:
            return b"HTTP/1.1 300 Multiple Choices\r\nContent-Length: 0\r\nSSE-Offer: %b\r\n\r\n" % own
        better = rival if int(rival.split()[1]) < self.streams else own
        return b"HTTP/1.1 204 No Content\r\nSSE-Offer: %b\r\n\r\n" % better

    def close(self) -> None:
        self.awake.set()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class Door:
    """A running nginx, and the replicas behind it."""

    def __init__(self, ports: dict[int, int], seen: list[str], container: Any, replicas: list[Replica]) -> None:
        self.ports, self.seen, self.container, self.replicas = ports, seen, container, replicas

    def ask(self, method: str, path: str, *, tls: bool = False, **more: Any) -> httpx.Response:
        url = f"{'https' if tls else 'http'}://127.0.0.1:{self.ports[443 if tls else 80]}{path}"
        return httpx.request(method, url, verify=False, timeout=20, trust_env=False, **more)

    def memory(self) -> int:
        """The bytes that its processes hold."""
        self.container.reload()
        pid = str(self.container.attrs["State"]["Pid"])
        listed = subprocess.run(["ps", "-o", "rss=", "--ppid", pid, "-p", pid], capture_output=True, check=True)
        return sum(map(int, listed.stdout.split())) * 1024

    def at_once(self, count: int, method: str, path: str, **more: Any) -> list[httpx.Response]:
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            return list(pool.map(lambda _: self.ask(method, path, **more), range(count)))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Doors:
    """Starts nginx from its image with one of the configurations."""

    def __init__(self, directory: Path, image: str) -> None:
        self.directory, self.image = directory, image
        # The replicas of these tests have no Unix sockets.
        asked = {name: {**one, "app_link": "tcp"} for name, one in CONFIGURATIONS.items()}
        self.texts = {name: one.nginx for name, one in render(directory, asked).items()}
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=door"]
        files = ["-keyout", str(directory / "tls.pem"), "-out", str(directory / "tls.crt")]
        subprocess.run(["openssl", "req", "-x509", *key, *files], check=True, capture_output=True)
        with (directory / "tls.pem").open("a") as pem:
            pem.write((directory / "tls.crt").read_text())

    @contextlib.contextmanager
    def open(self, name: str, *kinds: str) -> Iterator[Door]:
        seen: list[str] = []
        replicas = [Replica(kind, seen, number) for number, kind in enumerate(kinds, 1)]
        ports = {number: free_port() for number in (80, 443, 8080)}
        text = self.texts[name].replace("/run/tls/", "/etc/nginx/")
        for number, port in ports.items():
            text = re.sub(rf"listen {number}\b", f"listen 127.0.0.1:{port}", text)
        for number, one in enumerate(replicas, 1):
            text = text.replace(f"server app-{number}:8000", f"server 127.0.0.1:{one.port}")
        text = text.replace("client_header_timeout 10s", "client_header_timeout 2s")  # no test has to wait so long
        place = Path(tempfile.mkdtemp(dir=self.directory))
        for file, content in {"nginx.conf": text, **{one: (self.directory / one).read_text() for one in KEYS}}.items():
            (place / file).write_text(content)
            (place / file).chmod(0o644)
        place.chmod(0o755)
        container = docker.from_env().containers.run(
            self.image,
            ["-e", "stderr", "-c", "/etc/nginx/nginx.conf", "-g", "daemon off;"],
            entrypoint=["nginx"],
            detach=True,
            network_mode="host",
            read_only=True,
            tmpfs={"/tmp": "size=64m,mode=1777", "/run/requests": "size=1m,mode=1777"},
            user="8080:8080",
            volumes={str(place): {"bind": "/etc/nginx", "mode": "ro"}},
        )
        door = Door(ports, seen, container, replicas)
        try:
            eventually(lambda: reachable(ports[80]), "nginx listens", 20)
            yield door
        finally:
            container.remove(force=True)
            for one in replicas:
                one.close()


KEYS = ("tls.pem",)


def reachable(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.fixture(scope="module")
def doors(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Doors:
    engine: Any = docker.from_env()
    # By its id: other tests give it references for a moment.
    image = next((one.id for one in engine.images.list() if any("/nginx:" in f"/{tag}" for tag in one.tags)), "")
    if not image:
        stack: Stack = request.getfixturevalue("deployed")
        image = stack.container("nginx").attrs["Config"]["Image"]
    directory = tmp_path_factory.mktemp("door")
    for one in [directory, *directory.parents][:3]:
        one.chmod(0o755)
    return Doors(directory, image)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["request_id"]) == (status, answer.headers["x-request-id"])
    return document


def test_a_request_that_killed_a_replica_is_not_repeated_at_another(doors: Doors) -> None:
    with doors.open("open", "dies", "dies", "dies") as door:
        assert problem(door.ask("GET", "/api/v1/channels"), 503)["title"] == "No replica answered"
        assert door.ask("GET", "/api/v1/stream?channel=a").text.startswith("retry: ")
        assert problem(door.ask("POST", "/api/v1/tickets", content=b"{}"), 503)["outcome"] == "unknown"
        assert [one.split("/")[-1] for one in door.seen] == ["channels 0", "stream?channel=a 0", "tickets 2"]
        # A publish is: its key stores it once, and its body is bounded.
        door.seen.clear()
        assert problem(door.ask("POST", "/api/v1/events", content=b"{}"), 503)["outcome"] == "unknown"
        assert door.seen == ["POST /api/v1/events 2"] * 3


def test_where_two_of_three_replicas_are_away_the_third_is_found(doors: Doors) -> None:
    with doors.open("open", "away", "serves", "away") as door:
        for method in ("GET", "HEAD", "POST", "DELETE"):
            answers = [door.ask(method, "/api/v1/channels").status_code for _ in range(6)]
            assert answers == [200] * 6
        assert [door.ask("GET", "/api/v1/stream").status_code for _ in range(6)] == [200] * 6
        door.seen.clear()
        assert [door.ask("POST", "/api/v1/events", content=chunks(4, 9)).status_code for _ in range(6)] == [200] * 6
        assert door.seen == ["POST /api/v1/events 36"] * 6  # whole each time


def test_a_stream_passes_over_a_replica_that_hangs(doors: Doors) -> None:
    with doors.open("quick", "holds", "serves", "holds") as door:
        assert {one.text for one in door.at_once(6, "GET", "/api/v1/stream")} == {"ok"}


def test_no_stream_waits_for_a_replica_that_hangs_and_it_gets_its_share_once_it_answers(doors: Doors) -> None:
    with doors.open("open", "offers", "hangs", "offers") as door:
        first, second, third = door.replicas
        begun = time.monotonic()
        for method, more in (("GET", {}), ("POST", {"json": {"channels": ["a"]}})):
            answers = door.at_once(30, method, "/api/v1/stream?channel=a", **more)
            assert {one.text for one in answers} == {"ok"}
        assert time.monotonic() < begun + 45  # the bound of silence, which also was that of the first byte before
        assert second.streams == 0
        assert min(first.streams, third.streams) >= 15  # so they took about as many each
        second.awake.set()
        # It has fewer streams than the others: so it gets each one for which it is asked.
        eventually(lambda: door.ask("GET", "/api/v1/stream").headers["x-replica"] == "2", "it is asked again", 20)


def test_a_stream_goes_where_the_fewest_are_of_two_that_are_asked(doors: Doors) -> None:
    with doors.open("open", "offers", "offers", "offers") as door:
        door.replicas[0].streams = 100
        for _ in range(20):
            assert door.ask("GET", "/api/v1/stream").text == "ok"
        assert [one.streams for one in door.replicas] == [100, 10, 10]


def chunks(size: int, count: int) -> Iterable[bytes]:
    return (b"x" * size for _ in range(count))


def test_a_body_of_any_shape_becomes_no_file(doors: Doors) -> None:
    with doors.open("open", "serves", "serves", "serves") as door:
        assert door.ask("POST", "/api/v1/events", content=b"x" * 262_144).status_code == 200
        assert door.ask("POST", "/api/v1/events", content=chunks(4096, 64)).status_code == 200
        told = problem(door.ask("POST", "/api/v1/events", content=b"x" * 262_145), 413)["detail"]
        assert told.endswith("at most 262144 bytes")
        problem(door.ask("POST", "/api/v1/events", content=chunks(4096, 65)), 413)
        assert "Content-Length" in problem(door.ask("POST", "/api/v1/events", content=chunks(1, 99_999)), 413)["detail"]
        with contextlib.ExitStack() as held:
            for _ in range(72):
                client = held.enter_context(socket.create_connection(("127.0.0.1", door.ports[80])))
                head = b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\n"
                client.sendall(head + b"x" * 60_000)
            assert door.ask("POST", "/api/v1/events", content=b"x" * 200_000).status_code == 200
            files = door.container.exec_run("find /tmp /etc/nginx -type f -size +0").output.decode().split()
        assert {Path(one).name for one in files} == {"nginx.conf", "nginx.pid", *KEYS}


def test_large_bodies_that_do_not_end_keep_no_small_publish_out(doors: Doors) -> None:
    found = re.search(r"limit_conn bodies (\d+);", doors.texts["open"])
    assert found
    with doors.open("open", "serves", "serves", "serves") as door, contextlib.ExitStack() as held:
        for _ in range(int(found[1]) + 20):  # as from many addresses, since this host has no limit for one
            client = held.enter_context(socket.create_connection(("127.0.0.1", door.ports[80]), 20))
            client.sendall(b"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 262144\r\n\r\nx")
        problem(door.ask("POST", "/api/v1/events", content=b"x" * 200_000), 429)
        small = door.at_once(20, "POST", "/api/v1/events", content=b"x" * 3999)
        assert [one.status_code for one in small] == [200] * 20


def test_an_address_over_its_share_is_told_when_to_come_back_and_the_log_says_so(doors: Doors) -> None:
    with doors.open("small", "holds", "holds", "holds") as door:
        answers = door.at_once(40, "GET", "/api/v1/channels")
        refused = [one for one in answers if one.status_code != 200]
        assert len(refused) == 10
        assert all(problem(one, 429) and one.headers["retry-after"] for one in refused)
        publishes = door.at_once(15, "POST", "/api/v1/events", content=b"{}")
        assert [one.status_code for one in publishes].count(429) == 5
        refusals = b'"limit":"connections"'
        eventually(lambda: door.container.logs().count(refusals) >= 15, "the log names all refusals")
        assert door.container.logs().count(refusals) == 15
        with concurrent.futures.ThreadPoolExecutor() as pool:
            held = pool.submit(door.at_once, 30, "GET", "/api/v1/channels")
            eventually(lambda: len(door.seen) >= 70, "the share is used up", 10)
            problem(door.ask("GET", "/api/v1/stream"), 429)
            # A browser's EventSource would give up for good.
            browser = door.ask("GET", "/api/v1/stream", headers={"Accept": "text/event-stream"})
            assert (browser.status_code, browser.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
            assert browser.text.startswith("retry: ")
            held.result()


def test_whatever_becomes_of_a_publish_no_line_of_the_log_holds_its_ticket(doors: Doors) -> None:
    path = "/api/v1/events?ticket=canary-4711"
    with doors.open("open", "dies", "away", "dies") as door:
        problem(door.ask("POST", path, content=b"{}"), 503)
        problem(door.ask("POST", path, content=chunks(1, 99_999)), 413)  # it would have become a file
        problem(door.ask("POST", path, content=b"x" * 262_145), 413)
        eventually(lambda: door.container.logs().count(b'"status":') == 3, "the log has them", 10)
        assert b"canary-4711" not in door.container.logs()
    with doors.open("small", "holds", "holds", "holds") as door:
        assert [one.status_code for one in door.at_once(15, "POST", path, content=b"{}")].count(429) == 5
        refusals = b'"limit":"connections"'
        eventually(lambda: door.container.logs().count(refusals) == 5, "the log names the limit", 10)
        assert b"canary-4711" not in door.container.logs()


def test_large_bodies_of_an_address_come_one_after_the_other_and_small_ones_pass_by(doors: Doors) -> None:
    large = b"x" * 200_000
    with doors.open("small", "serves", "serves", "serves") as door, concurrent.futures.ThreadPoolExecutor() as pool:
        asked = [pool.submit(door.ask, "POST", "/api/v1/events", content=large) for _ in range(4)]
        eventually(lambda: bool(door.seen), "the first is taken", 10)
        assert door.ask("POST", "/api/v1/events", content=b"{}").status_code == 200
        assert [one.result().status_code for one in asked] == [200] * 4
        assert sorted(door.seen) == ["POST /api/v1/events 2", *["POST /api/v1/events 200000"] * 4]
        assert door.seen[-1] == "POST /api/v1/events 200000"  # it waited for three seconds
        eventually(lambda: b'"limit":"pace"' in door.container.logs(), "the log names the wait")


def test_a_thousand_heads_that_do_not_end_keep_nobody_out_and_are_not_waited_for(doors: Doors) -> None:
    with doors.open("open", "serves", "serves", "serves") as door, contextlib.ExitStack() as held:
        begun = [held.enter_context(socket.create_connection(("127.0.0.1", door.ports[80]), 20)) for _ in range(1000)]
        for one in begun:
            one.sendall(b"GET /api/v1/health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        assert [one.status_code for one in door.at_once(20, "GET", "/api/v1/health/live")] == [200] * 20
        assert door.ask("POST", "/api/v1/events", content=b"{}").status_code == 200
        for one in begun:
            one.settimeout(60)
            with contextlib.suppress(ConnectionResetError):
                assert one.recv(1) == b""  # NGINX ends it, whatever it has got


def tell(door: Door, sent: bytes, seconds: float = 1.0) -> None:
    """Send what a client of bad will sends, and read until nothing comes any more."""
    with socket.create_connection(("127.0.0.1", door.ports[80]), 5) as client, contextlib.suppress(OSError):
        client.sendall(sent)
        client.settimeout(seconds)
        while client.recv(65_536):
            pass


def test_no_request_that_is_hidden_in_another_one_comes_to_a_replica(doors: Doors) -> None:
    with doors.open("open", "serves", "serves", "serves") as door, concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda sent: tell(door, sent), hostile_http.REQUESTS.values()):
            pass
        assert [one for one in door.seen if hostile_http.HIDDEN in one] == []
        strange = [one for one in door.seen if not re.fullmatch(r"(POST /api/v1/events|GET /api/v1/channels) \d+", one)]
        assert strange == []
        # Nothing of it waits in a connection to a replica that others use.
        assert {one.text for one in door.at_once(20, "GET", "/api/v1/channels")} == {"ok"}


@pytest.mark.parametrize("flood", hostile_http.FLOODS)
def test_a_flood_over_http_2_keeps_nobody_out_and_takes_no_memory(doors: Doors, flood: str) -> None:
    with doors.open("open", "serves", "serves", "serves") as door, concurrent.futures.ThreadPoolExecutor(5) as pool:
        before = door.memory()
        sent = hostile_http.opened() + hostile_http.FLOODS[flood]
        floods = [pool.submit(tell, door, sent, 2.0) for _ in range(5)]
        answers = door.at_once(10, "GET", "/api/v1/channels")
        assert [(one.status_code, one.text) for one in answers] == [(200, "ok")] * 10
        for one in floods:
            one.result()
        assert door.memory() - before < 32 * 2**20
        assert b"exited on signal" not in door.container.logs()
        assert door.ask("POST", "/api/v1/events", content=b"{}").status_code == 200


def raw(door: Door, sent: str) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Ask by the bytes of a request; the connection ends with the answer."""
    with socket.create_connection(("127.0.0.1", door.ports[80]), 5) as client:
        client.settimeout(5)
        with contextlib.suppress(OSError):  # refused before all was sent
            client.sendall(sent.replace("\n", "\r\n").encode("latin-1"))
        received = bytearray()
        with contextlib.suppress(OSError):
            while part := client.recv(65_536):
                received += part
    head, _, body = bytes(received).partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), json.loads(body)


CHUNKED = "HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\nzz\n"
REFUSED = [
    ("nonsense\n\n", 400, ""),
    ("GET /api/v1/channels HTTP/1.1\n\n", 400, ""),
    ("GET /api/v1/channels HTTP/1.1\nHost: x\nHost: y\n\n", 400, ""),
    ("GET /api/v1/channels HTTP/1.1\nHost: a b\n\n", 400, ""),
    ("GET /api/v1/channels HTTP/3.7\nHost: x\n\n", 505, ""),
    (f"GET /api/v1/channels HTTP/1.1\nHost: x\nX: {'y' * 9000}\n\n", 431, ""),
    (f"GET /{'x' * 9000} HTTP/1.1\nHost: x\n\n", 414, ""),
    ("GET /nowhere HTTP/1.1\nHost: x\nConnection: close\n\n", 404, ""),
    ("GET /-/route_1_offers HTTP/1.1\nHost: x\nConnection: close\n\n", 404, ""),
    ("TRACE /api/v1/events HTTP/1.1\nHost: x\n\n", 405, "post"),
    ("TRACE /api/v1/channels HTTP/1.1\nHost: x\n\n", 405, "get, head, post"),
    ("CONNECT /api/v1/channels HTTP/1.1\nHost: x\n\n", 405, "get, head, post"),
    ("POST /api/v1/events HTTP/1.1\nHost: x\nContent-Length: 99999999\n\n", 413, ""),
    ("POST /api/v1/events HTTP/1.1\nHost: x\nContent-Length: 1\nTransfer-Encoding: chunked\n\n", 400, ""),
    ("POST /api/v1/events HTTP/1.1\nHost: x\nTransfer-Encoding: gzip\n\n", 400, ""),
    ("POST /api/v1/events HTTP/1.1\nHost: x\nTransfer-Encoding: gzip, chunked\n\n", 501, ""),
    *((f"{asked} {CHUNKED}", 400, "") for asked in ("POST /api/v1/events", "POST /api/v1/tickets",
      "POST /api/v1/stream", "GET /api/v1/stream?channel=a", "GET /api/v1/channels")),
]  # fmt: skip


def test_whatever_nginx_itself_refuses_is_a_problem_with_a_detail_and_the_id_of_the_request(doors: Doors) -> None:
    with doors.open("open", "serves", "serves", "serves") as door:
        for sent, status, allowed in REFUSED:
            answered, headers, document = raw(door, sent)
            assert (answered, document["status"]) == (status, status), sent[:60]
            assert headers["content-type"] == "application/problem+json", sent[:60]
            assert document["request_id"] == headers["x-request-id"]
            assert document["detail"]
            assert document["title"]
            assert headers.get("allow", "") == allowed, sent[:60]
        assert [one for one in door.seen if "stream" not in one] == []


def test_over_plain_http_pages_are_redirected_and_credentials_are_refused(doors: Doors) -> None:
    with doors.open("closed", "serves", "serves", "serves") as door:
        page = door.ask("GET", "/api/v1/health/live?x=1", headers=NAME)
        assert (page.status_code, page.headers["location"]) == (308, "https://sse.example.org/api/v1/health/live?x=1")
        tickets = [
            f"/api/v1/channels?{name}=x" for name in ("ticket", "a=b&ticket", "%74icket", "tic%6bet", "a&tic%6Bet")
        ]
        for path in ("/api/v1/stream?channel=a", "/api/v1/stats/stream", *tickets):
            problem(door.ask("GET", path, headers=NAME), 403)
        for secret in ({"Authorization": "Bearer a.b"}, {"Cookie": "a=b; __Host-sse=x"}):
            problem(door.ask("GET", "/api/v1/channels", headers={**NAME, **secret}), 403)
        for path in ("/api/v1/events", "/api/v1/tickets", "/api/v1/session"):
            problem(door.ask("POST", path, headers=NAME, content=b"{}"), 403)
        assert door.seen == []
        assert door.ask("GET", "/api/v1/stream", headers=NAME, tls=True).status_code == 200
        bare = door.ask("GET", "/api/v1", headers=NAME, tls=True)
        assert (bare.status_code, bare.headers["location"]) == (301, "/api/v1/")


def test_another_name_of_the_host_gets_no_answer(doors: Doors) -> None:
    with doors.open("closed", "serves", "serves", "serves") as door:
        for tls in (False, True):
            for name in ("evil.example", "sse.example.org.evil.example", "10.0.0.1", ""):
                with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError, ssl.SSLError)):
                    door.ask("GET", "/api/v1/health/live", headers={"Host": name}, tls=tls)
        for name in ("sse.example.org", "SSE.example.org:8443", "localhost", "127.0.0.1:443"):
            answer = door.ask("GET", "/api/v1/health/live", headers={"Host": name}, tls=True)
            assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
