"""What Prometheus scrapes, by its own word and, where it has none yet, by asking in its place."""

from __future__ import annotations

import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.host import namespace
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

API = "/api/v1/targets?state=active"
ANSWER_SECONDS = 5.0
WAIT_SECONDS = 30.0  # two of Prometheus' usual scrape intervals of 15 s: a target that came back is seen by then
APPEAR_SECONDS = 10.0  # a Prometheus that just started learns of its targets within 5 s (discovery's update interval)
PAUSE_SECONDS = 0.25  # Prometheus offers nothing to wait on


def check(
    endpoint: Endpoint, pid: int, expected: Iterable[str], names: dict[str, str]
) -> tuple[list[Fault], int, list[str]]:
    """Return faults, how many targets answer, and notes.

    :param endpoint: Prometheus
    :param pid: a process in Prometheus' network namespace
    :param expected: ``name:port`` of what must be among its targets
    :param names: full container name by alias
    """
    begun = time.monotonic()
    while True:
        answer = request(endpoint, "GET", API, timeout=ANSWER_SECONDS)
        active = active_targets(answer)
        if active is None:
            advice = f"./sse logs {endpoint.name}"
            return [Fault(endpoint.name, f"read its targets at {endpoint.url}{API}", answer.shown, advice)], 0, []
        faults: list[Fault] = []
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
                faults.append(down(target, own, names))
        absent = missing(endpoint.name, active, expected)
        waited = time.monotonic() - begun
        if faults or waited > WAIT_SECONDS or (not waiting and (not absent or waited > APPEAR_SECONDS)):
            break
        threading.Event().wait(PAUSE_SECONDS)
    faults += [down(target, Answer(0, f"still so after {WAIT_SECONDS:g} s"), names) for target in waiting]
    proved = len(active) - len(faults)
    faults += absent
    notes = [f"{len(young)} of {len(active)} targets answer but wait for Prometheus' first scrape"] if young else []
    return faults, proved, notes


def active_targets(answer: Answer) -> list[dict[str, Any]] | None:
    """Read the API's answer; None where it is none."""
    return answer.record.get("data", {}).get("activeTargets") if answer.status == 200 else None


def scrape(pid: int, url: str) -> Answer:
    """Fetch a target's metrics as Prometheus would, from its network namespace."""
    parts = urllib.parse.urlsplit(url)
    tls = parts.scheme == "https"
    name = parts.hostname or ""
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    try:
        address = name if name.replace(".", "").isdigit() else namespace.resolve(pid, name)[0]
        endpoint = Endpoint(name, address, parts.port or (443 if tls else 80), tls)
        return namespace.inside(pid, lambda: request(endpoint, "GET", path, timeout=ANSWER_SECONDS))
    except OSError as error:
        return Answer(0, f"{name}: {error}")


def missing(prometheus: str, active: list[dict[str, Any]], expected: Iterable[str]) -> list[Fault]:
    """Name what should be scraped and is no target at all: 'all targets up' of an empty list proves nothing."""
    known = {target["discoveredLabels"].get("__address__", "") for target in active}
    return [
        Fault(
            prometheus,
            f"find {peer} among its targets",
            f"{len(active)} targets, and not this one",
            "does prometheus.yml name it, and did Prometheus load it (./sse restart prometheus)?",
        )
        for peer in expected
        if peer not in known
    ]


def down(target: dict[str, Any], own: Answer, names: dict[str, str]) -> Fault:
    """Say that a target does not answer."""
    url: str = target["scrapeUrl"]
    host = urllib.parse.urlsplit(url).hostname or url
    said = target.get("lastError") or target["health"]
    name = names.get(host, host)
    advice = f"./sse logs {name}; does it serve metrics at that address?"
    return Fault(name, f"have {url} scraped by Prometheus", f"{said}; asked in its place: {own.shown}", advice)
