# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a service says of itself: a list of sentences in JSON, for problems that a verification does not see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANSWER_SECONDS = 5.0


class Parameters(TypedDict):
    """Where it says so."""

    port: int
    path: str


def ask(endpoint: Endpoint, path: str) -> list[str]:
    """Return what a service says; nothing where it does not answer, which its health check tells."""
    answer = request(endpoint, "GET", path, timeout=ANSWER_SECONDS)
    try:
        found: object = json.loads(answer.body) if answer.status == 200 else []
    except ValueError:
        return []
    return [str(one) for one in cast("list[object]", found)] if isinstance(found, list) else []


def check(_running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Pass on what the service says as notes: what runs is as it was released."""
    notes = [f"{subject.name}: {one}." for one in ask(subject.endpoint(asked["port"]), asked["path"])]
    return Checked(verified=1 if not notes else 0, notes=notes)


PARAMETERS = {"port": (spec.port, ...), "path": (spec.absolute, "/problems")}
KIND = Kind("told", "services without a problem", each(check), spec.record(PARAMETERS))
