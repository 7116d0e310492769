# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A canary: the first replica that is replaced is watched by Prometheus expressions before the others follow."""

from __future__ import annotations

import math
import re
import threading
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import watch as watches

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Release, Spec, Watch
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

QUERY = "/api/v1/query?query="
ANSWER_SECONDS = 5.0
LOOK_SECONDS = 5.0  # between two looks; Prometheus' own scrapes are 15 s apart by default
LATE_SECONDS = 40.0  # after the watch, for an expression that needs two scrapes of the new process
SHORTEST_WINDOW = 10  # seconds; a rate over less never has two samples
STRIKES = 2  # looks in a row at which a value is bad: one may be of the moment of the start
SHORTEST, LONGEST = 5, 3600  # seconds for which a canary may be watched, as stack_canary_seconds


class CanaryError(ApplyError):
    """The canary is not good, or can't be judged."""


class Value(NamedTuple):
    """What Prometheus says of an expression: a number, or why there is none."""

    number: float | None
    reason: str = ""


class Canary:
    """Watches one replica of each service for a time."""

    def __init__(self, asked: Sequence[Watch], metrics: Sequence[Mapping[str, Any]], seconds: int) -> None:
        """Watch by these expressions.

        :param metrics: what the services declare of their metrics: each has targets ``name:port``
        :param seconds: how long to watch each replica
        """
        self.watches = asked
        self.metrics = metrics
        self.seconds = seconds
        self.prometheus: Endpoint | None = None

    def refuse(self, running: Running) -> None:
        """Ask every expression about what runs now, before anything changes.

        :raises CanaryError: Prometheus does not run, refuses an expression, or has no data for it
        """
        self.refuse_unjudged([one.spec for one in running.subjects], where(running))

    def refuse_unjudged(self, specs: Sequence[Spec], prometheus: Endpoint | None) -> None:
        """Ask every expression about what runs now.

        :param specs: of the containers that run
        :param prometheus: its API; None where none runs
        :raises CanaryError: Prometheus does not run, refuses an expression, or has no data for it
        """
        if not specs:
            return  # nothing runs, so nothing is replaced
        rolling = {one["service"]: one for one in specs[::-1] if one["rolling"]}
        if silent := sorted(set(rolling) - {one["service"] for one in self.watches}):
            raise CanaryError(
                f"--canary: {', '.join(silent)} declares no expression to judge a canary by. Nothing was changed. "
                "Next: add some to the setting stack_canary, or run without --canary."
            )
        self.prometheus = prometheus
        if self.prometheus is None:
            raise CanaryError(
                "--canary: no Prometheus runs in this stack, so nobody could judge the canary. Nothing was changed. "
                "Next: run `./sse up` without --canary, which starts it."
            )
        problems = [
            f"{one['name']} of {one['service']}: {value.reason}"
            for one in self.watches
            if one["service"] in rolling
            for value in [self.ask(one, rolling[one["service"]], max(self.seconds, SHORTEST_WINDOW))]
            if value.number is None
        ]
        if problems:
            listed = "\n".join(f"- {one}" for one in problems)
            raise CanaryError(
                f"--canary: what it would be judged by has no value now. Nothing was changed.\n{listed}\n"
                "Next: correct the setting stack_canary, or look at `./sse verify`: a Prometheus that just started "
                "needs some scrapes first."
            )

    def watch(self, name: str, spec: Spec, gate: Callable[[], None]) -> None:
        """Watch a new replica.

        :param name: its full name
        :param gate: waits while the rollout is paused, and raises where it is aborted
        :raises CanaryError: naming the expression, its value and its limit
        """
        asked = [one for one in self.watches if one["service"] == spec["service"]]
        begun, strikes = time.monotonic(), dict.fromkeys((one["name"] for one in asked), 0)
        while True:
            gate()
            waited = time.monotonic() - begun
            values = [(one, self.ask(one, spec, max(int(waited), SHORTEST_WINDOW))) for one in asked]
            for one, value in values:
                is_bad = value.number is not None and watches.bad(one, value.number)
                strikes[one["name"]] = strikes[one["name"]] + 1 if is_bad else 0
                if is_bad and (strikes[one["name"]] >= STRIKES or waited >= self.seconds):
                    raise CanaryError(verdict(name, one, f"is {value.number:g}", waited))
            lacking = next(((one, value) for one, value in values if value.number is None), None)
            if waited >= self.seconds and lacking is None and not any(strikes.values()):
                return
            if waited >= self.seconds + LATE_SECONDS and lacking:
                raise CanaryError(verdict(name, lacking[0], f"has no value: {lacking[1].reason}", waited))
            threading.Event().wait(min(LOOK_SECONDS, max(0.5, self.seconds - waited)))

    def ask(self, one: Watch, spec: Spec, window: int) -> Value:
        """Ask Prometheus about one expression; the worst of several values counts."""
        instance, others = self.targets(spec["container"])
        if self.prometheus is None or not instance:
            return Value(None, f"Prometheus scrapes no metrics of {spec['container']}")
        text = one["expr"].replace(watches.INSTANCE, instance).replace(watches.WINDOW, f"{window}s")
        text = text.replace(watches.OTHERS, "|".join(re.escape(other).replace("\\", "\\\\") for other in others))
        answer = self.answer(self.prometheus, QUERY + urllib.parse.quote(text))
        if answer.status != 200:
            return Value(None, str(answer.record.get("error") or answer.shown))
        found = [number for number in numbers(answer.record.get("data", {})) if not math.isnan(number)]
        if not found:
            return Value(None, f"no data for {text}")
        return Value(max(found) if one["above"] is not None else min(found))

    def answer(self, prometheus: Endpoint, path: str) -> Answer:
        """Return what Prometheus answers."""
        return request(prometheus, "GET", path, timeout=ANSWER_SECONDS)

    def targets(self, short: str) -> tuple[str, list[str]]:
        """Return the instance of a container as Prometheus calls it, and those of the other replicas."""
        for metric in self.metrics:
            own = [one for one in metric["targets"] if one.partition(":")[0] == short]
            if own:
                return own[0], [one for one in metric["targets"] if one != own[0]]
        return "", []


def verdict(name: str, one: Watch, found: str, waited: float) -> str:
    """Say why a canary is not good."""
    return (
        f"{name}: the canary is not good: {one['name']} {found}, expected {watches.limit(one)} ({waited:.0f} s after "
        f"its start). The expression: {one['expr']}"
    )


def where(running: Running) -> Endpoint | None:
    """Return the API of the Prometheus of a stack."""
    for shorts, port in declared(running.releases):
        if there := running.named(shorts):
            return there[0].endpoint(port)
    return None


def declared(releases: Sequence[Release]) -> Iterator[tuple[list[str], int]]:
    """Yield the containers of a Prometheus and the port of its API: services declare a check of it."""
    for release in releases:
        for check in release.get("checks", []):
            if check["kind"] == "scraped":
                yield check["containers"], check["parameters"]["port"]


def seconds_of(asked: Mapping[str, Any]) -> int:
    """Return for how many seconds a canary is asked for; 0 where none is.

    :raises CanaryError: no canary is watched for so long
    """
    seconds = str(asked.get("seconds") or "0")
    if seconds == "0":
        return 0
    if not seconds.isdigit() or not SHORTEST <= int(seconds) <= LONGEST:
        raise CanaryError(f"--canary {seconds}: expected {SHORTEST} to {LONGEST} seconds. Nothing was changed.")
    return int(seconds)


def watches_of(asked: Mapping[str, Any]) -> list[Watch]:
    """Return what a canary is judged by: what services declare, and what the setting says."""
    return watches.chosen(asked["watches"], watches.parse_all(asked["setting"], "stack_canary"))


def numbers(data: Json) -> Iterator[float]:
    """Yield the values of an instant query (https://prometheus.io/docs/prometheus/latest/querying/api/)."""
    result: Any = data.get("result") or []
    if data.get("resultType") == "scalar":
        yield float(result[1])
    elif data.get("resultType") == "vector":
        for one in result:
            yield float(one["value"][1])
