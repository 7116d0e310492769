"""`python -m sse_app.canary`: publishes an event now and then, watches streams for it, and says so as metrics.

It needs Python's own library alone, and nothing of the service: it can watch any server of Server-Sent Events. Without
an address to publish to, it measures how long a stream takes to open and to say something, and counts reconnects.
"""

import argparse
import contextlib
import http.client
import json
import random
import signal
import socket
import sys
import threading
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlencode, urljoin, urlsplit

CHANNEL = "sse-platform.canary"
START_SECONDS = 30.0  # that what it watches may take to be there
LOST_SECONDS = 30.0  # an event that an open stream has not had for so long counts as lost
PUBLISH_SECONDS = 15.0  # above the deadline of the service, so that its answer is seen
SILENT_SECONDS = 60.0  # a stream without even a heartbeat for so long is dead
RETRY_SECONDS = (0.5, 10.0)  # before a stream is opened again: at first, and at most
REMEMBERED = 1000  # events that a stream has had, to notice one that comes twice
AWAITED = 10_000  # events that a stream is to resume with: more than a day of them by default
REDIRECTS, SENT_ON = (301, 302, 303, 307, 308), 5
ACCEPT = {"Accept": "text/event-stream", "Cache-Control": "no-cache"}
OUTCOMES = ("accepted", "refused", "failed")
OPENINGS = ("opened", "failed")
ERRORS = (OSError, http.client.HTTPException, ValueError)


def log(message: str, **more: object) -> None:
    """Write one line of JSON, as the service does."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = {"time": now, "level": "warning", "logger": "canary", "message": message, **more}
    print(json.dumps(line), file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Server:
    """How to reach one address, with a credential where one is needed."""

    url: str
    key_file: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @contextlib.contextmanager
    def asked(
        self, method: str, seconds: float, headers: Mapping[str, str], body: bytes | None = None
    ) -> Generator[http.client.HTTPResponse]:
        """Send a request, and hand over the head of its answer; the connection is closed afterwards.

        Who asks for a stream is sent on as a browser is, and tells the credential to nobody else.
        """
        own = dict(self.headers)
        if self.key_file:  # read each time: a new key needs no new start
            own["Authorization"] = f"Bearer {Path(self.key_file).read_text().strip()}"
        at = self.url
        for __ in range(1 + SENT_ON):
            to = urlsplit(at)
            sent = {"User-Agent": "sse-canary", **(own if to[:2] == urlsplit(self.url)[:2] else {}), **headers}
            kind = http.client.HTTPSConnection if to.scheme == "https" else http.client.HTTPConnection
            connection = kind(to.hostname or "", to.port, timeout=seconds)
            try:
                connection.request(method, (to.path or "/") + (f"?{to.query}" if to.query else ""), body, sent)
                response = connection.getresponse()
                if method == "GET" and response.status in REDIRECTS and response.headers["Location"]:
                    at = elsewhere(at, response.headers["Location"])
                    continue
                yield response
                return
            finally:
                connection.close()
        raise ValueError(f"it sends on more than {SENT_ON} times")


def elsewhere(at: str, place: str) -> str:
    """Return the address that an answer sends on to."""
    found = urljoin(at, place)
    if urlsplit(found).scheme not in {"http", "https"} or not urlsplit(found).hostname:
        raise ValueError(f"it sends on to {place[:200]!r}, which is no web address")
    return found


def refusal(response: http.client.HTTPResponse) -> str:
    """Say why an answer is no stream; empty where it is one."""
    kind = response.headers.get_content_type()
    if response.status == 200 and kind == "text/event-stream":
        return ""
    return f"it answers {response.status} and {kind}: expected 200 and text/event-stream"


def lines(response: http.client.HTTPResponse) -> Iterator[str]:
    """Yield each line without its end, until the stream ends."""
    while line := response.readline(2**20):
        yield line.decode("utf-8", "replace").rstrip("\r\n")


@dataclass
class Watched:
    """One stream, which is held open, and what came out of it."""

    name: str
    server: Server
    run: str
    ended: threading.Event
    silent: float = SILENT_SECONDS
    opened: float | None = None  # since when it is open
    known: bool = False  # it was open before, so nothing after that may be missing
    last_id: str = ""
    retry: float = RETRY_SECONDS[0]
    seconds: float | None = None  # from the publish of the newest event to its arrival
    first_byte: float | None = None  # of the newest connection
    first_event: float | None = None
    heard: float = 0.0  # by the clock of this process, when something was said
    arrived: float | None = None  # seconds since 1970, when something was said
    reconnects: int = 0
    received: int = 0
    lost: int = 0
    doubled: int = 0
    waiting: dict[int, float] = field(default_factory=dict[int, float])  # by number, since when it was to come
    seen: deque[int] = field(default_factory=lambda: deque[int](maxlen=REMEMBERED))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def hold(self, begun_of: Callable[[int], float | None]) -> None:
        """Hold the stream open, until `ended`.

        :param begun_of: returns when the publish of an event began
        """
        failures = 0
        while not self.ended.is_set():
            reason = "it ended"
            try:
                self.read(begun_of)
                failures = 0
            except ERRORS as error:
                reason = f"{type(error).__name__}: {error}"
                failures = 0 if self.opened else failures + 1
            with self.lock:
                was_open, self.opened = self.opened, None
                if not self.last_id:  # nothing to resume from: what comes meanwhile never will
                    self.known = False
                    self.waiting.clear()
            if was_open is None and (failures in {3, 10} or failures % 100 == 99):
                log("the stream does not open", stream=self.name, reason=reason)
            self.ended.wait(min(self.retry * 2 ** min(failures, 6), RETRY_SECONDS[1]) * random.uniform(0.8, 1.2))  # noqa: S311  # nosec B311

    def read(self, begun_of: Callable[[int], float | None]) -> None:
        """Open the stream, and read it until it ends."""
        begun = time.monotonic()
        resume = {"Last-Event-ID": self.last_id} if self.last_id else {}
        with self.server.asked("GET", self.silent, ACCEPT | resume) as response:
            if reason := refusal(response):
                raise ValueError(reason)
            data: list[str] = []
            event = id_ = ""
            first = 0.0
            for line in lines(response):
                if self.ended.is_set():
                    return
                self.arrived, self.heard = time.time(), time.monotonic()
                first = first or time.monotonic() - begun
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if self.opened is None and line and name != "retry":  # with that alone, it turns us away
                    self.begin(first)
                if name == "data":
                    data.append(value)
                elif name == "event":
                    event = value
                elif name == "id":
                    id_ = value
                elif name == "retry" and value.isascii() and value.isdigit():
                    self.retry = min(int(value) / 1000, RETRY_SECONDS[1])
                elif not line:
                    self.last_id = id_ or self.last_id
                    if data:
                        self.take(event, "\n".join(data), begun, begun_of)
                    data, event = [], ""

    def begin(self, first_byte: float) -> None:
        """Note that the stream is open, and after how many seconds its first byte came."""
        with self.lock:
            self.reconnects += self.first_byte is not None
            self.opened = time.monotonic()
            self.first_byte, self.first_event = first_byte, None
            self.known = True

    def take(self, event: str, data: str, begun: float, begun_of: Callable[[int], float | None]) -> None:
        """Take an event; those of others count as something that was said."""
        now = time.monotonic()
        if self.first_event is None:
            self.first_event = now - begun
        if event == "gap":
            log("the stream has told of a gap", stream=self.name, gap=data[:500])
            with self.lock:
                self.waiting.clear()  # what is told is not lost in silence
        try:
            payload = json.loads(data)
            ours = payload["canary"] == self.run
            number = int(payload["number"])
        except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError):
            return  # an event of somebody else, who may write what he likes
        if not ours:
            return
        with self.lock:
            self.waiting.pop(number, None)
            if number in self.seen:
                self.doubled += 1
                log("an event came twice", stream=self.name, number=number, id=self.last_id)
                return
            self.seen.append(number)
            self.received += 1
            sent = begun_of(number)
            if sent is not None:
                self.seconds = now - sent

    def expect(self, number: int) -> None:
        """Count on an event that was accepted, unless it has come already."""
        with self.lock:
            if number not in self.seen:
                self.waiting[number] = time.monotonic()
                self.waiting.pop(number - AWAITED, None)

    def since(self, accepted: float) -> float:
        """For how long an open stream has not had an event; 0 for one that is not open."""
        return 0.0 if self.opened is None else time.monotonic() - max(accepted, self.opened)

    def late(self) -> float:
        """For how long the oldest event that is still to come has been missing."""
        with self.lock:
            return max((self.since(one) for one in self.waiting.values()), default=0.0)

    def count_lost(self, seconds: float) -> None:
        """Give up what a stream has lacked for so long while it said other things. In one that hangs, it is late."""
        with self.lock:
            for number in [
                one
                for one, accepted in self.waiting.items()
                if self.since(accepted) > seconds and self.heard > accepted + seconds / 6
            ]:
                del self.waiting[number]
                self.lost += 1
                log("an accepted event did not come", stream=self.name, number=number, seconds=seconds)


class Canary:
    """Publishes, watches, and counts."""

    def __init__(
        self, streams: dict[str, Server], publish: Server | None, interval: float, lost: float, silent: float
    ) -> None:
        self.run = uuid.uuid4().hex
        self.ended = threading.Event()
        self.watched = [Watched(name, server, self.run, self.ended, silent) for name, server in streams.items()]
        self.publish = publish
        self.channel = CHANNEL
        self.interval = interval
        self.lost_seconds = lost
        self.number = 0
        self.begun: dict[int, float] = {}  # by number, of the newest events
        self.publishes: Counter[str] = Counter()
        self.openings: Counter[str] = Counter()
        self.publish_seconds: float | None = None
        self.open_seconds: float | None = None
        self.sent: float | None = None  # seconds since 1970, when a round began

    def start(self) -> None:
        """Begin, on threads of their own."""
        for one in self.watched:
            threading.Thread(target=one.hold, args=(self.begun.get,), daemon=True).start()
        threading.Thread(target=self.work, daemon=True).start()

    def work(self) -> None:
        """One round after the other. The first one waits until all streams are open, or had time for that."""
        patience = time.monotonic() + START_SECONDS
        while not all(one.opened for one in self.watched) and time.monotonic() < patience:
            self.ended.wait(0.1)
        while not self.ended.is_set():
            begun = time.monotonic()
            self.sent = time.time()
            if self.publish:
                self.send(self.publish)
            self.open(self.watched[0].server)
            while (left := begun + self.interval - time.monotonic()) > 0:
                self.ended.wait(min(left, 1.0))
                for one in self.watched:
                    one.count_lost(self.lost_seconds)

    def send(self, server: Server) -> None:
        """Publish one event."""
        self.number += 1
        number, expecting = self.number, [one for one in self.watched if one.known]
        self.begun[number] = begun = time.monotonic()
        self.begun.pop(number - REMEMBERED, None)
        event = {"channel": self.channel, "data": {"canary": self.run, "number": number}}
        outcome, reason = "failed", ""
        try:
            more = {"Content-Type": "application/json", "Idempotency-Key": f"{self.run}-{number}"}
            with server.asked("POST", PUBLISH_SECONDS, more, json.dumps(event).encode()) as response:
                if 200 <= response.status < 300:
                    outcome = "accepted"
                else:
                    outcome = "refused" if response.status < 500 else "failed"
                    reason = f"{response.status} {response.read(500).decode('utf-8', 'replace')}"
        except ERRORS as error:
            reason = f"{type(error).__name__}: {error}"
        self.publishes[outcome] += 1
        self.publish_seconds = time.monotonic() - begun
        if outcome == "accepted":
            for one in expecting:
                one.expect(number)
        else:
            log("a publish was not accepted", number=number, outcome=outcome, reason=reason)

    def open(self, server: Server) -> None:
        """Open one more stream, as somebody who comes now, and close it after its first words.

        A server that turns somebody away with 200, `retry` and the end of the stream has opened none.
        """
        begun = time.monotonic()
        try:
            with server.asked("GET", PUBLISH_SECONDS, ACCEPT) as response:
                if reason := refusal(response):
                    raise ValueError(reason)
                if not self.speaks(response):
                    raise ValueError("the stream ended before it said anything")
        except ERRORS as error:
            self.openings["failed"] += 1
            log("a new stream did not open", reason=f"{type(error).__name__}: {error}")
        else:
            self.openings["opened"] += 1
            self.open_seconds = time.monotonic() - begun

    def speaks(self, response: http.client.HTTPResponse) -> bool:
        """Tell whether something comes. The streams of this service say something at once; others may have nothing."""
        try:
            return any(line and not line.startswith("retry:") for line in lines(response))
        except TimeoutError:
            return self.publish is None

    def metrics(self) -> str:
        """Everything in the text format of Prometheus."""
        text: list[str] = []
        for name, (kind, help_, read) in EACH.items():
            if self.publish or name not in PUBLISHED:
                text += family(name, kind, help_, [(f'{{replica="{one.name}"}}', read(one)) for one in self.watched])
        publishes = [(f'{{outcome="{one}"}}', self.publishes[one]) for one in OUTCOMES if self.publish]
        openings = [(f'{{outcome="{one}"}}', self.openings[one]) for one in OPENINGS]
        publish_seconds, open_seconds, sent = (
            ("", one) for one in (self.publish_seconds, self.open_seconds, self.sent)
        )
        text += family("sse_canary_publishes_total", "counter", "Publishes", publishes)
        text += family("sse_canary_publish_seconds", "gauge", "How long the newest publish took", [publish_seconds])
        text += family("sse_canary_openings_total", "counter", "New streams, one each round", openings)
        text += family("sse_canary_open_seconds", "gauge", "From the newest of them to its first words", [open_seconds])
        text += family("sse_canary_round_timestamp_seconds", "gauge", "When the newest round began", [sent])
        return "\n".join(text) + "\n"


def family(name: str, kind: str, help_: str, samples: Sequence[tuple[str, float | None]]) -> list[str]:
    """The lines of one metric; nothing where no value is known."""
    known = [f"{name}{labels} {value:.15g}" for labels, value in samples if value is not None]
    return [f"# HELP {name} {help_}", f"# TYPE {name} {kind}", *known] if known else []


# Of each stream: name, kind, help and value. PUBLISHED are those that need events of one's own.
EACH: dict[str, tuple[str, str, Callable[[Watched], float | None]]] = {
    "sse_canary_seconds": ("gauge", "From the publish of the newest event to its arrival", lambda one: one.seconds),
    "sse_canary_late_seconds": ("gauge", "For how long an open stream has lacked an accepted event", Watched.late),
    "sse_canary_received_total": ("counter", "Events that arrived", lambda one: one.received),
    "sse_canary_lost_total": ("counter", "Accepted events that an open stream did not get", lambda one: one.lost),
    "sse_canary_doubled_total": ("counter", "Events that came twice", lambda one: one.doubled),
    "sse_canary_stream_open": ("gauge", "1 while the stream is held open", lambda one: one.opened is not None),
    "sse_canary_reconnects_total": ("counter", "Times that the stream was opened again", lambda one: one.reconnects),
    "sse_canary_first_byte_seconds": (
        "gauge",
        "From the newest connection to its first byte",
        lambda one: one.first_byte,
    ),
    "sse_canary_first_event_seconds": ("gauge", "From it to its first event", lambda one: one.first_event),
    "sse_canary_heard_timestamp_seconds": ("gauge", "When the stream last said something", lambda one: one.arrived),
}
PUBLISHED = {
    f"sse_canary_{one}" for one in ("seconds", "late_seconds", "received_total", "lost_total", "doubled_total")
}


def serve(canary: Canary, address: str, port: int) -> ThreadingHTTPServer:
    """Answer /metrics, and /health with 200 while rounds begin."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer."""
            stuck = canary.sent and time.time() - canary.sent > 3 * (canary.interval + PUBLISH_SECONDS)
            status = 503 if self.path == "/health" and stuck else 200 if self.path in {"/health", "/metrics"} else 404
            body = canary.metrics().encode() if self.path == "/metrics" else b""
            self.send_response(status)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the library
            """Say nothing of a scrape."""

    # No HTTPServer's own socket: it takes one family of addresses alone, and asks for its own name.
    server = ThreadingHTTPServer((address, port), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener(address, port)
    server.server_address = server.socket.getsockname()[:2]
    server.server_port = server.server_address[1]
    server.daemon_threads = True
    return server


def listener(address: str, port: int) -> socket.socket:
    """Listen at an address; without one at all of them, over IPv6, too, where this kernel has it."""
    if address:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return socket.create_server((address, port), family=family)
    try:
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    except (OSError, ValueError):
        return socket.create_server(("0.0.0.0", port))  # noqa: S104 - who asks for it  # nosec B104


def named(text: str) -> tuple[str, str]:
    """Split NAME=URL; an address alone is its own name."""
    name, given, url = text.partition("=")
    if not given or not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        name, url = text, text
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise argparse.ArgumentTypeError(f"{text!r}: expected URL or NAME=URL, with http:// or https://")
    return name.replace("\\", "").replace('"', ""), url


def asking(url: str, query: str) -> str:
    """Add a query to an address, which may have one already."""
    to = urlsplit(url)
    return to._replace(query="&".join(one for one in (to.query, query) if one)).geturl() if query else url


def header(text: str) -> tuple[str, str]:
    """Split `Name: value`."""
    name, given, value = text.partition(":")
    if not given or not name.strip():
        raise argparse.ArgumentTypeError(f"{text!r}: expected 'Name: value'")
    return name.strip(), value.strip()


def arguments() -> argparse.ArgumentParser:
    """What it takes."""
    about = "Hold streams of Server-Sent Events open, measure them, and answer /metrics for Prometheus."
    parser = argparse.ArgumentParser("python -m sse_app.canary", description=about)
    add = parser.add_argument
    streams = "a stream to hold open; the first one is also opened anew each round"
    add("streams", nargs="+", type=named, metavar="[NAME=]URL", help=streams)
    add("--publish", type=named, metavar="URL", help="where to publish an event each round, as this service takes it")
    add("--channel", default=CHANNEL, help=f"of those events; the streams get it as ?channel= ({CHANNEL})")
    add("--key-file", default="", metavar="FILE", help="a file with a credential, sent as a bearer token")
    add("--header", type=header, action="append", default=[], metavar="'NAME: VALUE'", help="sent with each request")
    seconds: Any = {"type": float, "metavar": "SECONDS"}
    add("--interval", default=10.0, help="from one round to the next (10)", **seconds)
    add("--lost", default=LOST_SECONDS, help=f"after which a missing event is lost ({LOST_SECONDS:g})", **seconds)
    add("--silent", default=SILENT_SECONDS, help=f"after which a silent stream is dead ({SILENT_SECONDS:g})", **seconds)
    listen = "for /metrics and /health (127.0.0.1:9310); without an address, at all of this machine"
    add("--listen", default="127.0.0.1:9310", metavar="ADDRESS:PORT", help=listen)
    return parser


def build(words: list[str] | None) -> tuple[Canary, str, int]:
    """Read the command line."""
    parser = arguments()
    given = parser.parse_args(words)
    address, _, port = given.listen.rpartition(":")
    if not port.isdigit() or not 0 <= int(port) < 2**16 or given.interval < 0.1:
        parser.error("expected --listen ADDRESS:PORT, and an --interval of at least 0.1")
    more = given.key_file, tuple(given.header)
    query = urlencode({"channel": given.channel}) if given.publish else ""
    streams = {name: Server(asking(url, query), *more) for name, url in given.streams}
    publish = Server(given.publish[1], *more) if given.publish else None
    canary = Canary(streams, publish, given.interval, given.lost, given.silent)
    canary.channel = given.channel
    return canary, address.removeprefix("[").removesuffix("]"), int(port)


def stop(*_: object) -> NoReturn:
    """End. The first process of a container has no default for a signal."""
    sys.exit(0)


def main(words: list[str] | None = None) -> None:
    """Run until it is told to stop."""
    canary, address, port = build(words)
    signal.signal(signal.SIGTERM, stop)
    with serve(canary, address, port) as server, contextlib.suppress(KeyboardInterrupt):
        canary.start()
        server.serve_forever()


if __name__ == "__main__":
    main()
