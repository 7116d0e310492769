# Copyright: sse.platform maintainers, MIT License (see LICENSE)
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
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.host.http import (
    HTTP_ERRORS,
    Answer,
    Endpoint,
    json_object,
    request,
)
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.http_answer import serving
from ansible_collections.sse.platform.plugins.module_utils.verify.running import KEY, Key

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

FENCE = "fence"
# A healthy stack takes milliseconds. After a change of everything a host with few cores is late, without a fault.
CONNECT_SECONDS = 20.0  # until a stream's first frame
DELIVER_SECONDS = 20.0  # from the last accepted publish to the last delivery
PUBLISH_SECONDS = 30.0  # above the service's own publish deadline, so that its answer is seen, not our time-out
PAUSES = (0.0, 0.1, 0.4, 1.0, 1.5, 2.0)  # seconds before each round: NGINX avoids a replica that failed for two


class Parameters(TypedDict):
    """Where events are published and received."""

    through: str  # the container whose published ports lead to all others
    port: int  # of the others
    sockets: dict[str, str]  # a Unix socket by container, where it has one besides its port
    health: str  # a path that a port of the proxy answers with 200 if it leads to the API
    publish: str
    subscribe: str
    channel: str  # of the check alone, so that no other subscriber sees its events
    key: Key | None  # that is good for the channel alone


def check(running: Running, subjects: Sequence[Subject], asked: Parameters) -> Checked:
    """Find a port of the proxy that leads to the API, and send events through it."""
    published = running.published(asked["through"])
    proxy = serving(published, asked["health"])
    if proxy is None:
        if not (there := running.named([asked["through"]])):
            return Checked(verified=0)
        name, urls = there[0].name, ", ".join(one.url for one in published) or "no port"
        evidence = f"none of {urls} answers {asked['health']} with 200"
        wrong = "serves the API at no published port"
        return Checked([Finding("deliveries", name, wrong, evidence, (f"./sse logs {name}",))], 0)
    key = running.key(asked["key"])
    # A socket is reached through the file system of its container, whatever is mounted where.
    sockets = [
        Endpoint(one.name, f"/proc/{one.pid}/root{path}", 0)
        for one in subjects
        if (path := asked["sockets"].get(one.spec["container"]))
    ]
    replicas = [*(one.endpoint(asked["port"]) for one in subjects), *sockets]
    operator = switches.operator(running.state_directory)
    passage = travel(asked, proxy._replace(key=key), [one._replace(key=key) for one in replicas], operator)
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
        field, __, value = line.partition(":")
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


def travel(
    way: Parameters,
    proxy: Endpoint,
    replicas: list[Endpoint],
    operator: Mapping[str, str] | None = None,
    names: Collection[str] | None = None,
) -> Passage:
    """Publish through the proxy until every replica has served a publish, and count how often each event arrives.

    :param replicas: where subscribers listen, beside the proxy
    :param operator: the header with which a publish passes while publishing is paused
    :param names: of the replicas, where subscribers listen elsewhere
    """
    trip = Trip(way, proxy, replicas, operator or {}, {one.name for one in replicas} if names is None else set(names))
    for one in trip.subscribers:
        one.start()
    try:
        trip.await_subscribers()
        refused = trip.publish_to_all()
        trip.await_deliveries(refused=refused)
    finally:
        for one in trip.subscribers:
            one.close()
    return Passage(trip.findings, len(trip.published), sum(sum(one.frames.markers.values()) for one in trip.listening))


class Trip:
    """One run of events, with everybody who accepts and receives them."""

    def __init__(
        self,
        way: Parameters,
        proxy: Endpoint,
        replicas: list[Endpoint],
        operator: Mapping[str, str],
        names: set[str],
    ) -> None:
        """Prepare a subscriber at each endpoint."""
        self.operator = operator
        self.way = way
        self.proxy = proxy
        self.replicas = names
        self.run = secrets.token_hex(8)
        path = f"{way['subscribe']}?channel={way['channel']}"
        self.subscribers = [Subscriber(endpoint, path, self.run) for endpoint in [*replicas, proxy]]
        self.listening: list[Subscriber] = []
        self.published: dict[str, str] = {}  # who accepted it, by marker
        self.findings: list[Finding] = []

    def found(self, name: str, wrong: str, evidence: str, advice: str, *commands: str) -> None:
        """Keep a finding."""
        mend = (f"# {advice}", *(commands or (f"./sse logs {name}",)))
        self.findings.append(Finding("deliveries", name, wrong, evidence, mend))

    def await_subscribers(self) -> None:
        """Wait for the first frame of each stream. Should a stream end from here on, the fence tells."""
        deadline = time.monotonic() + CONNECT_SECONDS
        for one in self.subscribers:
            if one.ready.wait(max(0, deadline - time.monotonic())) and not one.error:
                self.listening.append(one)
            else:
                got = one.error or f"no first frame within {CONNECT_SECONDS:g} s"
                advice = "A stream must answer 200 and send its first frame at once."
                self.found(one.endpoint.name, f"could not subscribe at {one.endpoint.url}", got, advice)

    def publish(self, marker: str) -> Answer:
        """Publish one marker; the idempotency key makes a retry of the proxy safe."""
        data = {"run": self.run, "marker": marker}
        body = json.dumps({"channel": self.way["channel"], "event": "verify", "data": data})
        headers = {"Content-Type": "application/json", "Idempotency-Key": f"{self.run}-{marker}", **self.operator}
        return request(self.proxy, "POST", self.way["publish"], body, headers, timeout=PUBLISH_SECONDS)

    def publish_to_all(self) -> bool:
        """Publish until every replica has served one; return whether a publish was refused.

        A proxy may spread publishes by chance. Each round has more of them, so that chance leaves nobody out: of three
        replicas, one gets none of 63 publishes in one of 10^10 runs.
        """
        for attempt, pause in enumerate(PAUSES):
            threading.Event().wait(pause)
            markers = [f"{attempt}.{index}" for index in range(len(self.replicas) * (attempt + 1))]
            with concurrent.futures.ThreadPoolExecutor(len(markers)) as pool:
                answers = list(pool.map(self.publish, markers))
            for marker, answer in zip(markers, answers, strict=True):
                if answer.status != 202:
                    self.refused(answer)
                    return True
                self.published[marker] = answer.replica
            if self.replicas <= set(self.published.values()):
                return False
        by = sorted(set(self.published.values()))
        evidence = f"{len(self.published)} publishes, served by {', '.join(by)}, and none by it"
        advice = f"Does an upstream of {self.proxy.name} name it?"
        for name in sorted(self.replicas - set(by)):
            wrong = f"serves no publish through {self.proxy.url}"
            self.found(name, wrong, evidence, advice, f"./sse restart {self.proxy.name}")
        return False

    def refused(self, answer: Answer) -> None:
        """Say that a publish was not accepted."""
        name = answer.replica or self.proxy.name
        advice = "502 and 503: look at the replicas and what they need. 4xx: look at the routes of the proxy."
        wrong = f"could not publish at {self.proxy.url}{self.way['publish']}"
        self.found(name, wrong, answer.shown, advice, "./sse status", f"./sse logs {name}")

    def await_deliveries(self, *, refused: bool) -> None:
        """Publish the fence, and wait until it arrives. A channel keeps its order: all before the fence has arrived."""
        fence = self.publish(FENCE)
        if fence.status == 202:
            deadline = time.monotonic() + DELIVER_SECONDS
            for one in self.listening:
                one.done.wait(max(0, deadline - time.monotonic()))
            for one in self.listening:
                self.compare(one)
        elif not refused:
            self.refused(fence)

    def compare(self, subscriber: Subscriber) -> None:
        """Compare what a subscriber received with what was published."""
        name, seen, published = subscriber.endpoint.name, subscriber.frames.markers, self.published
        wrong = (
            f"did not deliver every event of {self.way['channel']} once to a subscriber at {subscriber.endpoint.url}"
        )
        if not seen[FENCE]:
            got = subscriber.error or f"{len(seen)} of {len(published) + 1} within {DELIVER_SECONDS:g} s of publishing"
            self.found(name, wrong, got, f"Does {name} receive events? Its health endpoint says what it lacks.")
            return
        for trouble, markers, advice in (
            ("missing", {one for one in published if not seen[one]}, "Events were lost on the way."),
            ("doubled", {one for one in published if seen[one] > 1}, "Duplicates were not dropped."),
        ):
            if markers:
                by = ", ".join(sorted({published[one] or "unknown" for one in markers}))
                evidence = f"{len(markers)} of {len(published)} {trouble}, accepted by {by}"
                self.found(name, wrong, evidence, advice)


PARAMETERS = spec.record(
    {
        "through": (spec.short_name, ...),
        "port": (spec.port, ...),
        "sockets": (spec.dict_of(spec.short_name, spec.absolute), {}),
        "health": (spec.absolute, ...),
        "publish": (spec.absolute, ...),
        "subscribe": (spec.absolute, ...),
        "channel": (spec.text, ...),
        "key": (KEY, None),
    }
)
KIND = Kind("deliveries", "deliveries of events", together(check), PARAMETERS)
