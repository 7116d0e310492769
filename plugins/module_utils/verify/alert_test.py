# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Send a test alert to every receiver, and say of each whether it took it.

Alertmanager sends it as it sends any other, so it comes as a real one does. Whether a receiver took it, its own
metrics say (https://prometheus.io/docs/alerting/latest/management_api/), and why not, its log.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.host.namespace import inside
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import receivers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

NAME = "TestAlert"
LASTS = 60  # seconds until the test alert ends by itself, which receivers are told, too
ANSWER_SECONDS = 5.0
TOOK_SECONDS = 30.0  # a mail server may look long at who comes
PAUSE_SECONDS = 0.1
LOG_LINES = 100
SENT = "alertmanager_notification_requests_total"
FAILED = "alertmanager_notification_requests_failed_total"
SAMPLE = re.compile(r"(\w+)\{([^}]*)\} (\S+)")
RECEIVER = re.compile(r'receiver_name="([^"]*)"')
REASON = re.compile(r'\berr="?((?:[^"\\]|\\.)*)')
GIVEN_UP = re.compile(r"(\w+)/\w+\[\d+\]: (?:notify retry canceled [^:]*: )?")  # before the reason, with the receiver


class AlertTestError(RuntimeError):
    """No test alert could be sent; the message says why."""


class Counted(NamedTuple):
    """How many requests went to one receiver, and how many of them failed."""

    sent: float = 0.0
    failed: float = 0.0


def counted(text: str) -> dict[str, Counted]:
    """Read the counts of each receiver from metrics in the text format of Prometheus."""
    found: dict[str, Counted] = {}
    for name, labels, value in SAMPLE.findall(text):
        receiver = RECEIVER.search(labels)
        if receiver and name in (SENT, FAILED):
            before = found.get(receiver[1], Counted())
            more = Counted(float(value), 0.0) if name == SENT else Counted(0.0, float(value))
            found[receiver[1]] = Counted(before.sent + more.sent, before.failed + more.failed)
    return found


def reason(lines: Sequence[str], receiver: str) -> str:
    """Return why a request to a receiver failed last, as the log says; it names no address that is a secret."""
    said = ""
    for line in lines:
        if found := REASON.search(line):
            given_up = GIVEN_UP.match(found[1])
            if f"receiver={receiver} " in line or (given_up and given_up[1] == receiver):
                said = found[1][given_up.end() if given_up else 0 :]
    return said.replace('\\"', '"').strip(" :")


class Outcome(NamedTuple):
    """What came of the test: a line for each receiver that took it, and a finding for each that did not."""

    lines: list[str]
    findings: list[Finding]


class Sender(NamedTuple):
    """What sends alerts in a cluster: the task on this host, asked from within its network."""

    name: str
    id: str
    pid: int

    def endpoint(self, port: int) -> Endpoint:
        """Return an HTTP server of it, as it reaches it itself."""
        return Endpoint(self.name, IPV4.loopback, port)


def asked_of(releases: Sequence[Release]) -> tuple[str, dict[str, Any], list[str]]:
    """Return the name of what sends alerts, what is asked of it, and the receivers that people have.

    :raises AlertTestError: nobody is told of alerts
    """
    asked = list(kinds.of_kind(releases, receivers.KIND.name))
    people = [name for __, parameters in asked for name in parameters["people"]]
    if not people:
        raise AlertTestError(
            "Nobody is told of alerts, so there is nobody to test: alerts_to names no receiver for people. "
            "docs/observability.md, Being called, says how to set it."
        )
    return *asked[0], people


def sender_of(engine: Engine, releases: Sequence[Release]) -> Sender | None:
    """Return the task that sends alerts, where this host of a cluster has it.

    :raises AlertTestError: nobody is told of alerts
    """
    name, __, ___ = asked_of(releases)
    for stack in dict.fromkeys(release["stack"] for release in releases):
        for found, identity in node_told.running(engine, stack):
            if found == name:
                return Sender(name, identity, engine.inspect(identity)["State"]["Pid"])
    return None


def run_in(sender: Sender, releases: Sequence[Release]) -> Outcome:
    """Do what `run` does by a task of a cluster on this host.

    :raises AlertTestError: the alert was not accepted
    """
    __, parameters, people = asked_of(releases)
    return inside(sender.pid, lambda: send(sender, parameters, people))


def run(running: Running, waits: Callable[[float], None] = time.sleep) -> Outcome:
    """Send a test alert, and wait until each receiver has taken or refused it.

    :raises AlertTestError: nobody is told of alerts, or the alert was not accepted
    """
    name, parameters, people = asked_of(running.releases)
    subject = running.found.get(name)
    if subject is None or not subject.runs:
        raise AlertTestError(f"{name} does not run, so no alert is sent. ./sse up starts it.")
    return send(subject, parameters, people, waits)


def send(
    subject: Subject | Sender,
    parameters: Mapping[str, Any],
    people: Sequence[str],
    waits: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Send a test alert by a container, and wait until each receiver has taken or refused it."""
    name = subject.name
    endpoint, begun = subject.endpoint(parameters["port"]), time.monotonic()
    before, since = read(endpoint), time.time()
    answer = request(
        endpoint,
        "POST",
        "/api/v2/alerts",
        json.dumps([alert(parameters["labels"])]),
        {"Content-Type": "application/json"},
        timeout=ANSWER_SECONDS,
    )
    if answer.status != 200:
        raise AlertTestError(f"{name} did not accept the test alert: {answer.shown}. ./sse logs {name} tells more.")
    lines: list[str] = []
    failed: dict[str, float] = {}
    left = set(people)
    while left and time.monotonic() - begun < TOOK_SECONDS:
        waits(PAUSE_SECONDS)
        now = read(endpoint)
        for one in sorted(left):
            was, count = before.get(one, Counted()), now.get(one, Counted())
            if count.sent - count.failed > was.sent - was.failed:
                lines.append(f"{one}: took the test alert after {time.monotonic() - begun:.1f} s")
                left.discard(one)
            elif count.failed > was.failed:
                failed.setdefault(one, time.monotonic() - begun)
        if left and left <= set(failed):
            break
    return Outcome(lines, [finding(subject, one, since, refused=one in failed) for one in sorted(left)])


def read(endpoint: Endpoint) -> dict[str, Counted]:
    """Read the metrics; nothing where they can't be read."""
    return counted(request(endpoint, "GET", "/metrics", timeout=ANSWER_SECONDS).body)


def alert(origin: Mapping[str, str]) -> dict[str, object]:
    """Return the test alert, as the API takes it.

    :param origin: the labels of every alert of this stack
    """
    now = dt.datetime.now(dt.timezone.utc)
    own = {"alertname": NAME, "severity": "info", "test": now.isoformat()}  # each test is a message of its own
    return {
        "labels": {**origin, **own},
        "annotations": {
            "summary": "This is a test, which somebody asked for: all is well",
            "description": "It came the way that real alerts come. It ends by itself within a minute.",
        },
        "startsAt": now.isoformat(),
        "endsAt": (now + dt.timedelta(seconds=LASTS)).isoformat(),
    }


def finding(subject: Subject | Sender, receiver: str, since: float, *, refused: bool) -> Finding:
    """Say that a receiver did not take the alert, and why."""
    try:
        identity = subject.id if isinstance(subject, Sender) else subject.inspected["Id"]
        why = reason(Api().log(identity, LOG_LINES, since), receiver)
    except OSError:
        why = ""
    wrong = f"the receiver {receiver} did not take the test alert"
    evidence = why or ("the request failed" if refused else f"no answer for {TOOK_SECONDS:.0f} s")
    mend = (f"# see alerts_to.{receiver}, and whether the receiver can be reached from this host", "./sse up")
    return Finding("receivers", subject.name, wrong, evidence, mend)
