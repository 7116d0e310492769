# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Alerts that fire and say how they are mended: what a verification does not see, because it shows over time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

PATH = "/api/v1/alerts"
ANSWER_SECONDS = 5.0


class Parameters(TypedDict):
    """The port of the API of Prometheus."""

    port: int


class Firing(NamedTuple):
    """An alert that fires."""

    name: str
    summary: str
    since: str
    mend: str  # a command

    @property
    def sentence(self) -> str:
        """The alert for people."""
        return f"{self.summary} (alert {self.name}, since {self.since})"


def ask(endpoint: Endpoint) -> list[Firing]:
    """Return the alerts that fire and have an annotation ``mend``; none where nobody answers."""
    answer = request(endpoint, "GET", PATH, timeout=ANSWER_SECONDS)
    data: Any = answer.record.get("data") if answer.status == 200 else None
    alerts: Any = cast("dict[str, Any]", data).get("alerts") if isinstance(data, dict) else None
    found: list[Firing] = []
    for one in cast("list[Any]", alerts) if isinstance(alerts, list) else []:
        notes = one.get("annotations", {})
        if one.get("state") == "firing" and notes.get("mend"):
            name = str(one.get("labels", {}).get("alertname", ""))
            since = f"{str(one.get('activeAt', ''))[:19]}Z"
            found.append(Firing(name, str(notes.get("summary", name)), since, str(notes["mend"])))
    return found


def check(_running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Pass the alerts on as notes: what runs is as it was released."""
    notes = [f"{one.sentence}. {one.mend} tells more." for one in ask(subject.endpoint(asked["port"]))]
    return Checked(verified=1 if not notes else 0, notes=notes)


KIND = Kind("firing", "alerts asked for", each(check), spec.record({"port": (spec.port, ...)}))
