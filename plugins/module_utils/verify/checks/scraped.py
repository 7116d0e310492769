# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What Prometheus scrapes, by its own word and, where it has none of now, by asking in its place.

After a change nobody waits for Prometheus' next scrape: what it has loaded says which targets it will have, and the
verification asks each of them as Prometheus would. A scrape that failed of what runs now stays one.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.engine.answers import seconds
from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import connections, spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

API = "/api/v1/targets?state=active"
STATE, CONFIG = "/api/v1/status/runtimeinfo", "/api/v1/status/config"
ANSWER_SECONDS = 5.0
WAIT_SECONDS = 30.0  # two of Prometheus' usual scrape intervals of 15 s: a target that came back is seen by then
APPEAR_SECONDS = 10.0  # targets come and go within 5 s of a start or a reload (discovery's update interval)
PAUSE_SECONDS = 0.25  # Prometheus offers nothing to wait on
# Lines of the configuration as Prometheus writes it (Go's yaml.v2), whatever the file looked like.
KEY = re.compile(r"^  (metrics_path|scheme|static_configs|relabel_configs|params|\w+_sd_configs):(?: (\S+))?$")
TARGET = re.compile(r"^    - (\S+)$")

Target = dict[str, Any]  # as the API gives it


class Parameters(TypedDict):
    """The port of its API."""

    port: int


class Peer(NamedTuple):
    """A container that may be a target."""

    name: str
    started: float  # seconds since the epoch


class Loaded(NamedTuple):
    """What Prometheus has just loaded."""

    whole: bool  # whether these are all its targets
    urls: dict[str, str]  # of each target, by its `name:port`


def check(running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Ask one Prometheus about all that it declares to reach, without what is not available on this host."""
    peers = {
        alias: Peer(one.name, seconds(one.inspected["State"]["StartedAt"]))
        for one in running.subjects
        for alias in one.spec["aliases"]
    }
    reached = [reach["to"] for reach in subject.spec["reaches"]]
    expected = [peer for peer in reached if connections.split(peer)[0] not in running.left_out]
    return wait_for_targets(subject.endpoint(asked["port"]), subject.pid, expected, peers)


def wait_for_targets(endpoint: Endpoint, pid: int, expected: Iterable[str], peers: dict[str, Peer]) -> Checked:
    """Wait until every target is scraped, or will be by all that can be known, or until the wait is over.

    :param endpoint: Prometheus
    :param pid: a process in the network namespace of Prometheus
    :param expected: ``name:port`` of what must be among its targets
    :param peers: containers by alias
    """
    begun, wanted = time.monotonic(), set(expected)
    while True:
        answer = request(endpoint, "GET", API, timeout=ANSWER_SECONDS)
        active = active_targets(answer)
        if active is None:
            unread = f"its targets could not be read at {endpoint.url}{API}"
            mend = (f"./sse logs {endpoint.name}",)
            return Checked([Finding("scraped", endpoint.name, unread, answer.shown, mend)], 0)
        if wanted - set(map(address_of, active)) or any(one["health"] == "down" for one in active):
            active = coming(active, just_loaded(endpoint))
        findings: list[Finding] = []
        leaving: list[Finding] = []  # of the configuration before, or of somebody's own
        young: list[Target] = []
        answering: list[Target] = []  # that Prometheus could not scrape when it tried last
        silent: list[tuple[Target, Answer]] = []  # that it has not tried yet
        for target in active:
            if target["health"] == "up":
                continue
            own = scrape(pid, target["scrapeUrl"])
            if own.status == 200:
                (young if is_young(target, peers) else answering).append(target)
            elif target["health"] == "unknown":
                silent.append((target, own))
            else:
                wrong = down(endpoint.name, target, own, peers)
                (findings if address_of(target) in wanted else leaving).append(wrong)
        absent = missing(endpoint.name, active, wanted)
        waited = time.monotonic() - begun
        settled = not (answering or silent) and (waited > APPEAR_SECONDS or not (absent or leaving))
        if findings or waited > WAIT_SECONDS or settled:
            break
        threading.Event().wait(PAUSE_SECONDS)
    findings += [*leaving, *(down(endpoint.name, target, own, peers) for target, own in silent)]
    if waited > WAIT_SECONDS:
        late = Answer(0, f"it answers, and Prometheus still could not scrape it after {waited:.0f} s")
        findings += [down(endpoint.name, target, late, peers) for target in answering]
    verified = len(active) - len(findings)
    findings += absent
    notes = [f"{len(young)} of {len(active)} targets answer but wait for Prometheus' first scrape"] if young else []
    if answering and waited <= WAIT_SECONDS:  # what is wrong with others ended the wait
        notes.append(f"{len(answering)} of {len(active)} targets answer again, and Prometheus has not asked them since")
    return Checked(findings, verified, notes)


def just_loaded(endpoint: Endpoint) -> Loaded | None:
    """Return what Prometheus has loaded, where that was so short a time ago that its targets may not say so yet."""
    state = request(endpoint, "GET", STATE, timeout=ANSWER_SECONDS).record.get("data", {})
    if time.time() - moment(state.get("lastConfigTime"), unread=0) > APPEAR_SECONDS:
        return None
    return read_config(
        str(request(endpoint, "GET", CONFIG, timeout=ANSWER_SECONDS).record.get("data", {}).get("yaml", ""))
    )


def read_config(text: str) -> Loaded:
    """Read which targets a configuration names, as Prometheus writes it.

    What labels or parameters change, or what is discovered, is left to Prometheus' own word.
    """
    whole, urls = True, dict[str, str]()
    for job in text.partition("\nscrape_configs:\n")[2].split("- job_name: ")[1:]:
        keys: dict[str, str] = {}
        targets: list[str] = []
        for line in job.splitlines()[1:]:
            if line and not line.startswith(" "):  # the next section
                break
            if found := KEY.match(line):
                keys[found[1]] = (found[2] or "").strip("\"'")
            elif found := TARGET.match(line):
                targets.append(found[1].strip("\"'"))
        if keys.keys() <= {"metrics_path", "scheme", "static_configs"}:
            scheme, path = keys.get("scheme", "http"), keys.get("metrics_path", "/metrics")
            urls |= {one: f"{scheme}://{one}{path}" for one in targets}
        else:
            whole = False
    return Loaded(whole, urls)


def coming(active: list[Target], loaded: Loaded | None) -> list[Target]:
    """Return the targets that Prometheus has once it uses what it has just loaded."""
    if loaded is None:
        return active
    stays = [one for one in active if not loaded.whole or one["health"] == "up" or address_of(one) in loaded.urls]
    known = set(map(address_of, active))
    return stays + [
        {"health": "unknown", "scrapeUrl": url, "discoveredLabels": {"__address__": peer}}
        for peer, url in loaded.urls.items()
        if peer not in known
    ]


def is_young(target: Target, peers: dict[str, Peer]) -> bool:
    """Tell whether no scrape was tried of what runs there now."""
    peer = peers.get(address_of(target).partition(":")[0])
    tried = moment(target.get("lastScrape"), unread=float("inf"))
    return target["health"] == "unknown" or (peer is not None and tried < peer.started)


def moment(text: object, *, unread: float) -> float:
    """Read a time of Prometheus as seconds since the epoch."""
    try:
        return seconds(str(text))
    except ValueError:
        return unread


def active_targets(answer: Answer) -> list[Target] | None:
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


def address_of(target: Target) -> str:
    """Return the ``name:port`` that the configuration gives for a target."""
    return str(target["discoveredLabels"].get("__address__", ""))


def missing(prometheus: str, active: list[Target], expected: set[str]) -> list[Finding]:
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


def down(prometheus: str, target: Target, own: Answer, peers: dict[str, Peer]) -> Finding:
    """Say that a target does not answer."""
    url: str = target["scrapeUrl"]
    host = urllib.parse.urlsplit(url).hostname or url
    said = target.get("lastError") or target["health"]
    name = peers[host].name if host in peers else host
    mend = ("# Does it serve metrics at that address?", f"./sse logs {name}")
    evidence = f"{said}; asked in its place: {own.shown}"
    return Finding("scraped", name, f"{prometheus} could not scrape {url}", evidence, mend)


KIND = Kind("scraped", "metric targets", each(check), spec.record({"port": (spec.port, ...)}))
