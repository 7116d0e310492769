"""The way of an event: published through nginx, received from every replica and through nginx, once each."""

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
from typing import NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.host.http import (
    HTTP_ERRORS,
    Answer,
    Endpoint,
    json_object,
    request,
)
from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault

CHANNEL = "sse-platform.verify"  # a channel of our own: nobody else's subscribers see the markers
KEY_NAME = "sse-platform-verify"  # of the API key that is good for it alone, where the service asks for one
FENCE = "fence"
CONNECT_SECONDS = 5.0  # until a stream's first frame
DELIVER_SECONDS = 8.0  # from the last accepted publish to the last delivery; a healthy stack takes milliseconds
PUBLISH_SECONDS = 10.0  # above the service's own publish deadline, so that its answer is seen, not our time-out
PAUSES = (0.0, 0.1, 0.4, 1.0, 1.5, 2.0)  # seconds before each round: nginx avoids a replica that failed for two


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

    def __init__(self, endpoint: Endpoint, run: str) -> None:
        """Prepare; ``start`` connects."""
        super().__init__(daemon=True)
        self.endpoint = endpoint
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
            connection.request("GET", f"/api/v1/stream?channel={CHANNEL}", headers=headers)
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
    """What the proof of the event path found."""

    faults: list[Fault]
    published: int
    deliveries: int


def travel(nginx: Endpoint, replicas: list[Endpoint]) -> Passage:
    """Publish through nginx until every replica has served a publish; see each event arrive everywhere, once."""
    run = secrets.token_hex(8)
    subscribers = [Subscriber(endpoint, run) for endpoint in [*replicas, nginx]]
    for one in subscribers:
        one.start()
    try:
        return publish_and_watch(nginx, replicas, subscribers, run)
    finally:
        for one in subscribers:
            one.close()


def publish_and_watch(nginx: Endpoint, replicas: list[Endpoint], subscribers: list[Subscriber], run: str) -> Passage:
    """Do the work of :func:`travel` on open streams."""
    faults: list[Fault] = []
    deadline = time.monotonic() + CONNECT_SECONDS
    listening: list[Subscriber] = []
    for one in subscribers:
        if one.ready.wait(max(0, deadline - time.monotonic())) and not one.error:
            listening.append(one)  # should its stream end from here on, the fence tells
        else:
            got = one.error or f"no first frame within {CONNECT_SECONDS:g} s"
            advice = f"./sse logs {one.endpoint.name}: a stream must answer 200 and send its first frame at once"
            faults.append(Fault(one.endpoint.name, f"subscribe at {one.endpoint.url}", got, advice))
    published, refused = publish_to_all(nginx, list(dict.fromkeys(one.name for one in replicas)), run)
    faults += refused
    # Order is promised per channel: whatever was to arrive before the fence has arrived, doubles included.
    fence = publish(nginx, run, FENCE)
    if fence.status == 202:
        deadline = time.monotonic() + DELIVER_SECONDS
        for one in listening:
            one.done.wait(max(0, deadline - time.monotonic()))
        for one in listening:
            faults += misdelivered(one, published)
    elif not refused:
        faults.append(refusal(nginx, fence))
    return Passage(faults, len(published), sum(sum(one.frames.markers.values()) for one in listening))


def publish(nginx: Endpoint, run: str, marker: str) -> Answer:
    """Publish one marker; the key makes nginx's own retry safe."""
    body = json.dumps({"channel": CHANNEL, "event": "verify", "data": {"run": run, "marker": marker}})
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"{run}-{marker}"}
    return request(nginx, "POST", "/api/v1/events", body, headers, timeout=PUBLISH_SECONDS)


def publish_to_all(nginx: Endpoint, replicas: list[str], run: str) -> tuple[dict[str, str], list[Fault]]:
    """Publish until every replica has served one; return who served which marker, and what went wrong."""
    served: dict[str, str] = {}
    for attempt, pause in enumerate(PAUSES):
        threading.Event().wait(pause)
        markers = [f"{attempt}.{index}" for index in range(len(replicas))]
        with concurrent.futures.ThreadPoolExecutor(len(markers)) as pool:
            answers = list(pool.map(partial(publish, nginx, run), markers))
        for marker, answer in zip(markers, answers, strict=True):
            if answer.status != 202:
                return served, [refusal(nginx, answer)]
            served[marker] = answer.replica
        if set(replicas) <= set(served.values()):
            return served, []
    got = f"{len(served)} publishes, served by {', '.join(sorted(set(served.values())))}, and none by it"
    advice = "does nginx' upstream name it? ./sse restart nginx"
    unserved = sorted(set(replicas) - set(served.values()))
    return served, [Fault(name, f"serve a publish through {nginx.url}", got, advice) for name in unserved]


def refusal(nginx: Endpoint, answer: Answer) -> Fault:
    """Say that a publish was not accepted."""
    advice = "503 and 502: look at Kafka and the replicas first (./sse status, ./sse logs app); 4xx: at nginx's routes"
    return Fault(answer.replica or nginx.name, f"publish at {nginx.url}/api/v1/events", answer.shown, advice)


def misdelivered(subscriber: Subscriber, published: dict[str, str]) -> list[Fault]:
    """Compare what a subscriber received with what was published."""
    name, seen = subscriber.endpoint.name, subscriber.frames.markers
    tried = f"receive every event of {CHANNEL} once, subscribed at {subscriber.endpoint.url}"
    if not seen[FENCE]:
        got = subscriber.error or f"{len(seen)} of {len(published) + 1} within {DELIVER_SECONDS:g} s of publishing"
        advice = f"does {name} consume from Kafka? ./sse logs {name}; its /health/ready says what it lacks"
        return [Fault(name, tried, got, advice)]
    faults: list[Fault] = []
    for trouble, wrong, advice in (
        ("missing", {one for one in published if not seen[one]}, "events were lost on the way: ./sse logs"),
        ("doubled", {one for one in published if seen[one] > 1}, "duplicates were not dropped: ./sse logs"),
    ):
        if wrong:
            by = ", ".join(sorted({published[one] or "unknown" for one in wrong}))
            faults.append(
                Fault(name, tried, f"{len(wrong)} of {len(published)} {trouble}, accepted by {by}", f"{advice} {name}")
            )
    return faults
