# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What Prometheus scrapes, by its own word and, where it has none yet, by asking in its place."""

from __future__ import annotations

import http.client
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import connections, spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

API = "/api/v1/targets?state=active"
ANSWER_SECONDS = 5.0
WAIT_SECONDS = 30.0  # two of Prometheus' usual scrape intervals of 15 s: a target that came back is seen by then
APPEAR_SECONDS = 10.0  # targets come and go within 5 s of a start or a reload (discovery's update interval)
PAUSE_SECONDS = 0.25  # Prometheus offers nothing to wait on


class Parameters(TypedDict):
    """The port of its API."""

    port: int


def check(running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Ask one Prometheus about all that it declares to reach, without what is not available on this host."""
    names = {alias: one.name for one in running.subjects for alias in one.spec["aliases"]}
    peers = [reach["to"] for reach in subject.spec["reaches"]]
    expected = [peer for peer in peers if connections.split(peer)[0] not in running.left_out]
    return wait_for_targets(subject.endpoint(asked["port"]), subject.pid, expected, names)


def wait_for_targets(endpoint: Endpoint, pid: int, expected: Iterable[str], names: dict[str, str]) -> Checked:
    """Wait until every target is scraped, or until the wait is over.

    :param endpoint: Prometheus
    :param pid: a process in the network namespace of Prometheus
    :param expected: ``name:port`` of what must be among its targets
    :param names: full container name by alias
    """
    begun, wanted = time.monotonic(), set(expected)
    while True:
        answer = request(endpoint, "GET", API, timeout=ANSWER_SECONDS)
        active = active_targets(answer)
        if active is None:
            unread = f"its targets could not be read at {endpoint.url}{API}"
            mend = (f"./sse logs {endpoint.name}",)
            return Checked([Finding("scraped", endpoint.name, unread, answer.shown, mend)], 0)
        findings: list[Finding] = []
        leaving: list[Finding] = []  # of the configuration before, or of somebody's own
        young: list[dict[str, Any]] = []
        waiting: list[dict[str, Any]] = []
        for target in active:
            if target["health"] == "up":
                continue
            own = scrape(pid, target["scrapeUrl"])
            if own.status == 200:
                (young if target["health"] == "unknown" else waiting).append(target)
            elif target["health"] == "unknown":
                waiting.append(target)
            else:
                wrong = down(endpoint.name, target, own, names)
                (findings if address_of(target) in wanted else leaving).append(wrong)
        absent = missing(endpoint.name, active, wanted)
        waited = time.monotonic() - begun
        settled = not waiting and (waited > APPEAR_SECONDS or not (absent or leaving))
        if findings or waited > WAIT_SECONDS or settled:
            break
        threading.Event().wait(PAUSE_SECONDS)
    late = Answer(0, f"still so after {WAIT_SECONDS:g} s")
    findings += [*leaving, *(down(endpoint.name, target, late, names) for target in waiting)]
    verified = len(active) - len(findings)
    findings += absent
    notes = [f"{len(young)} of {len(active)} targets answer but wait for Prometheus' first scrape"] if young else []
    return Checked(findings, verified, notes)


def active_targets(answer: Answer) -> list[dict[str, Any]] | None:
    """Read the API's answer; None if it holds no list of targets."""
    return answer.record.get("data", {}).get("activeTargets") if answer.status == 200 else None


def scrape(pid: int, url: str) -> Answer:
    """Fetch a target's metrics as Prometheus would, from its network namespace."""
    parts = urllib.parse.urlsplit(url)
    tls = parts.scheme == "https"
    name = parts.hostname or ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        address = name if name.replace(".", "").isdigit() else namespace.resolve(pid, name)[0]
        port = parts.port or (http.client.HTTPS_PORT if tls else http.client.HTTP_PORT)
        endpoint = Endpoint(name, address, port, tls)
        return namespace.inside(pid, lambda: request(endpoint, "GET", path, timeout=ANSWER_SECONDS))
    except OSError as error:
        return Answer(0, f"{name}: {error}")


def address_of(target: dict[str, Any]) -> str:
    """Return the ``name:port`` that the configuration gives for a target."""
    return str(target["discoveredLabels"].get("__address__", ""))


def missing(prometheus: str, active: list[dict[str, Any]], expected: set[str]) -> list[Finding]:
    """Name what should be scraped and is no target at all: an empty list has no target that is down."""
    known = {address_of(target) for target in active}
    return [
        Finding(
            "scraped",
            prometheus,
            f"{peer} is not among its targets",
            f"{len(active)} targets, and not this one",
            (f"# Does the configuration of {prometheus} name it, and was it loaded?", f"./sse restart {prometheus}"),
        )
        for peer in sorted(expected - known)
    ]


def down(prometheus: str, target: dict[str, Any], own: Answer, names: dict[str, str]) -> Finding:
    """Say that a target does not answer."""
    url: str = target["scrapeUrl"]
    host = urllib.parse.urlsplit(url).hostname or url
    said = target.get("lastError") or target["health"]
    name = names.get(host, host)
    mend = ("# Does it serve metrics at that address?", f"./sse logs {name}")
    evidence = f"{said}; asked in its place: {own.shown}"
    return Finding("scraped", name, f"{prometheus} could not scrape {url}", evidence, mend)


KIND = Kind("scraped", "metric targets", each(check), spec.record({"port": (spec.port, ...)}))
