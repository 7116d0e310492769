# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The receivers of alerts are those of the settings. Nothing is sent to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

PATH = "/api/v2/receivers"
ANSWER_SECONDS = 5.0


class Parameters(TypedDict):
    """The port of the API, and the names of the receivers that messages for people go to, and of all others."""

    port: int
    people: list[str]
    others: list[str]
    labels: dict[str, str]  # of every alert of the stack: where it is from


def check(_running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Ask which receivers have been loaded."""
    endpoint = subject.endpoint(asked["port"])
    answer = request(endpoint, "GET", PATH, timeout=ANSWER_SECONDS)
    wanted = [*asked["people"], *asked["others"]]
    try:
        loaded: Any = json.loads(answer.body) if answer.status == 200 else []
        known = {str(one["name"]) for one in loaded}
    except (ValueError, TypeError, KeyError):
        known = set[str]()
    absent = [name for name in wanted if name not in known]
    wrong = f"it does not know the receivers {', '.join(absent)}"
    mend = ("./sse up", f"./sse logs {subject.name}")
    findings = [Finding("receivers", subject.name, wrong, answer.shown, mend)] if absent else []
    return Checked(findings, len(wanted) - len(absent))


NAMES = spec.list_of(spec.short_name)
PARAMETERS: spec.Fields = {
    "port": (spec.port, ...),
    "people": (NAMES, []),
    "others": (NAMES, []),
    "labels": (spec.dict_of(spec.text, spec.text), {}),
}
KIND = Kind("receivers", "receivers of alerts", each(check), spec.record(PARAMETERS))
