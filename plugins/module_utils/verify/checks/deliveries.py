"""An event published through a proxy arrives once at every container behind it and at the proxy itself."""

from __future__ import annotations

import concurrent.futures
import contextlib
import http.client
import json
import secrets
import socket
import threading
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import (
    HTTP_ERRORS,
    Answer,
    Endpoint,
    json_object,
    request,
)
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Job, Kind
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.http_answer import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

FENCE = "fence"
CONNECT_SECONDS = 5.0  # until a stream's first frame
DELIVER_SECONDS = 8.0  # from the last accepted publish to the last delivery; a healthy stack takes milliseconds
PUBLISH_SECONDS = 10.0  # above the service's own publish deadline, so that its answer is seen, not our time-out
PAUSES = (0.0, 0.1, 0.4, 1.0, 1.5, 2.0)  # seconds before each round: NGINX avoids a replica that failed for two


class Key(TypedDict):
    """An API key that is good for the channel alone: its name, and the secret behind it."""

    name: str
    secret: str


class Parameters(TypedDict):
    """Where events are published and received."""

    through: str  # the container whose published ports lead to all others
    port: int  # of the others
    sockets: dict[str, str]  # a Unix socket by container, where it has one besides its port
    health: str  # a path that a port of the proxy answers with 200 if it leads to the API
    publish: str
    subscribe: str
    channel: str  # of the check alone, so that no other subscriber sees its events
    key: Key | None


def jobs(running: Running, subjects: Sequence[Subject], asked: Parameters) -> list[Job]:
    """Send all events in one job."""
    return [partial(check, running, subjects, asked)] if running.named([asked["through"]]) else []


def check(running: Running, subjects: Sequence[Subject], asked: Parameters) -> Checked:
    """Find a port of the proxy that leads to the API, and send events through it."""
    published = running.published(asked["through"])
    proxy = serving(published, asked["health"])
    if proxy is None:
        name = running.named([asked["through"]])[0].name
        evidence = f"none of {', '.join(one.url for one in published) or 'no port'} answers {asked['health']} with 200"
        wrong = "serves the API at no published port"
        return Checked([Finding("deliveries", name, wrong, evidence, (f"./sse logs {name}",))], 0)
    key = f"{asked['key']['name']}.{running.secret(asked['key']['secret'])}" if asked["key"] else ""
    # A socket is reached through the file system of its container, whatever is mounted where.
    sockets = [
        Endpoint(one.name, f"/proc/{one.pid}/root{path}", 0)
        for one in subjects
        if (path := asked["sockets"].get(one.spec["container"]))
    ]
    replicas = [*(one.endpoint(asked["port"]) for one in subjects), *sockets]
    passage = travel(asked, proxy._replace(key=key), [one._replace(key=key) for one in replicas])
    return Checked(passage.findings, passage.deliveries)


class Frames:
    """Reads an event stream line by line (WHATWG HTML, 9.2.6) and counts our markers."""

    def __init__(self, run: str) -> None:
        """Count the markers of one run."""
        self.run = run
        self.markers: Counter[str] = Counter()
        self.ended_by = ""
        self.frames = 0
        self.event = ""
        self.data: list[str] = []

    def feed(self, line: str) -> None:
        """Take one line without its end."""
        if not line:
            self.dispatch()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self.event = value
        elif field == "data":
            self.data.append(value)

    def dispatch(self) -> None:
        """End a frame."""
        self.frames += 1
        if self.event in {"bye", "gap"}:
            self.ended_by = f"event {self.event}: {' '.join(self.data)}"
        elif self.data:
            payload = json_object("\n".join(self.data))
            if payload.get("run") == self.run:
                self.markers[str(payload.get("marker"))] += 1
        self.event, self.data = "", []


class Subscriber(threading.Thread):
    """One open stream; ``ready`` after its first frame, ``done`` when the fence arrived or the stream ended."""

    def __init__(self, endpoint: Endpoint, path: str, run: str) -> None:
        """Prepare; ``start`` connects."""
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.path = path
        self.frames = Frames(run)
        self.ready = threading.Event()
        self.done = threading.Event()
        self.error = ""
        self.sock: socket.socket | None = None

    def run(self) -> None:
        """Read until the fence, the end of the stream, or ``close``."""
        connection = self.endpoint.connect(CONNECT_SECONDS)
        try:
            connection.connect()
            self.sock = connection.sock  # the response takes it over, and forgets it in the connection
            headers = {"Accept": "text/event-stream", **self.endpoint.credential}
            connection.request("GET", self.path, headers=headers)
            response = connection.getresponse()
            if response.status != 200:
                self.error = Answer(response.status, response.read(1000).decode(errors="replace")).shown
                return
            self.read(response)
        except HTTP_ERRORS as error:
            self.error = f"{type(error).__name__}: {error}"
        finally:
            self.ready.set()
            self.done.set()
            connection.close()

    def read(self, response: http.client.HTTPResponse) -> None:
        """Feed every line to the frames."""
        while line := response.readline(1 << 20):
            self.frames.feed(line.decode(errors="replace").rstrip("\r\n"))
            if self.frames.frames and not self.ready.is_set():
                if self.sock:
                    self.sock.settimeout(None)  # from here on the fence's deadline bounds the wait
                self.ready.set()
            if self.frames.markers[FENCE]:
                return
        self.error = self.frames.ended_by or "the stream ended"

    def close(self) -> None:
        """End the stream from outside: a blocked read returns."""
        if self.sock:
            with contextlib.suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class Passage(NamedTuple):
    """What came of sending events."""

    findings: list[Finding]
    published: int
    deliveries: int


def travel(way: Parameters, proxy: Endpoint, replicas: list[Endpoint]) -> Passage:
    """Publish through the proxy until every replica has served a publish, and count how often each event arrives."""
    run = secrets.token_hex(8)
    path = f"{way['subscribe']}?channel={way['channel']}"
    subscribers = [Subscriber(endpoint, path, run) for endpoint in [*replicas, proxy]]
    for one in subscribers:
        one.start()
    try:
        return publish_and_watch(way, proxy, replicas, subscribers, run)
    finally:
        for one in subscribers:
            one.close()


def publish_and_watch(
    way: Parameters, proxy: Endpoint, replicas: list[Endpoint], subscribers: list[Subscriber], run: str
) -> Passage:
    """Do the work of :func:`travel` on open streams."""
    findings: list[Finding] = []
    deadline = time.monotonic() + CONNECT_SECONDS
    listening: list[Subscriber] = []
    for one in subscribers:
        if one.ready.wait(max(0, deadline - time.monotonic())) and not one.error:
            listening.append(one)  # should its stream end from here on, the fence tells
        else:
            got = one.error or f"no first frame within {CONNECT_SECONDS:g} s"
            mend = (
                "# A stream must answer 200 and send its first frame at once.",
                f"./sse logs {one.endpoint.name}",
            )
            wrong = f"could not subscribe at {one.endpoint.url}"
            findings.append(Finding("deliveries", one.endpoint.name, wrong, got, mend))
    published, refused = publish_to_all(way, proxy, list(dict.fromkeys(one.name for one in replicas)), run)
    findings += refused
    # Order is promised per channel: whatever was to arrive before the fence has arrived, doubles included.
    fence = publish(way, proxy, run, FENCE)
    if fence.status == 202:
        deadline = time.monotonic() + DELIVER_SECONDS
        for one in listening:
            one.done.wait(max(0, deadline - time.monotonic()))
        for one in listening:
            findings += misdelivered(way, one, published)
    elif not refused:
        findings.append(refusal(way, proxy, fence))
    return Passage(findings, len(published), sum(sum(one.frames.markers.values()) for one in listening))


def publish(way: Parameters, proxy: Endpoint, run: str, marker: str) -> Answer:
    """Publish one marker; the idempotency key makes a retry of the proxy safe."""
    body = json.dumps({"channel": way["channel"], "event": "verify", "data": {"run": run, "marker": marker}})
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{run}-{marker}"}
    return request(proxy, "POST", way["publish"], body, headers, timeout=PUBLISH_SECONDS)


def publish_to_all(
    way: Parameters, proxy: Endpoint, replicas: list[str], run: str
) -> tuple[dict[str, str], list[Finding]]:
    """Publish until every replica has served one; return who served which marker, and what went wrong."""
    served: dict[str, str] = {}
    for attempt, pause in enumerate(PAUSES):
        threading.Event().wait(pause)
        markers = [f"{attempt}.{index}" for index in range(len(replicas))]
        with concurrent.futures.ThreadPoolExecutor(len(markers)) as pool:
            answers = list(pool.map(partial(publish, way, proxy, run), markers))
        for marker, answer in zip(markers, answers, strict=True):
            if answer.status != 202:
                return served, [refusal(way, proxy, answer)]
            served[marker] = answer.replica
        if set(replicas) <= set(served.values()):
            return served, []
    evidence = f"{len(served)} publishes, served by {', '.join(sorted(set(served.values())))}, and none by it"
    mend = (f"# Does an upstream of {proxy.name} name it?", f"./sse restart {proxy.name}")
    wrong = f"serves no publish through {proxy.url}"
    unserved = sorted(set(replicas) - set(served.values()))
    return served, [Finding("deliveries", name, wrong, evidence, mend) for name in unserved]


def refusal(way: Parameters, proxy: Endpoint, answer: Answer) -> Finding:
    """Say that a publish was not accepted."""
    mend = (
        f"# 502 and 503: look at the replicas and at what they need. 4xx: look at the routes of {proxy.name}.",
        "./sse status",
        f"./sse logs {answer.replica or proxy.name}",
    )
    wrong = f"could not publish at {proxy.url}{way['publish']}"
    return Finding("deliveries", answer.replica or proxy.name, wrong, answer.shown, mend)


def misdelivered(way: Parameters, subscriber: Subscriber, published: dict[str, str]) -> list[Finding]:
    """Compare what a subscriber received with what was published."""
    name, seen = subscriber.endpoint.name, subscriber.frames.markers
    wrong = f"did not deliver every event of {way['channel']} once to a subscriber at {subscriber.endpoint.url}"
    if not seen[FENCE]:
        got = subscriber.error or f"{len(seen)} of {len(published) + 1} within {DELIVER_SECONDS:g} s of publishing"
        mend = (f"# Does {name} receive events? Its /health/ready says what it lacks.", f"./sse logs {name}")
        return [Finding("deliveries", name, wrong, got, mend)]
    found: list[Finding] = []
    for trouble, markers, advice in (
        ("missing", {one for one in published if not seen[one]}, "# Events were lost on the way."),
        ("doubled", {one for one in published if seen[one] > 1}, "# Duplicates were not dropped."),
    ):
        if markers:
            by = ", ".join(sorted({published[one] or "unknown" for one in markers}))
            evidence = f"{len(markers)} of {len(published)} {trouble}, accepted by {by}"
            found.append(Finding("deliveries", name, wrong, evidence, (advice, f"./sse logs {name}")))
    return found


KIND = Kind(
    "deliveries",
    "deliveries of events",
    jobs,
    spec.record(
        {
            "through": (spec.short_name, ...),
            "port": (spec.port, ...),
            "sockets": (spec.dict_of(spec.short_name, spec.absolute), {}),
            "health": (spec.absolute, ...),
            "publish": (spec.absolute, ...),
            "subscribe": (spec.absolute, ...),
            "channel": (spec.text, ...),
            "key": (spec.record({"name": (spec.text, ...), "secret": (spec.text, ...)}), None),
        }
    ),
)
