"""A container answers an HTTP request with 200, at its own address or through the published ports of a proxy."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Job, Kind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANSWER_SECONDS = 5.0  # for one request inside the host
REDIRECTS = {301, 302, 307, 308}  # of a proxy that sends HTTP to HTTPS


class Parameters(TypedDict):
    """What is asked: a port of each container, or every published port of the container ``through``."""

    port: int | None
    through: str | None
    path: str


PARAMETERS = spec.record({"port": (spec.port, None), "through": (spec.short_name, None), "path": (spec.absolute, ...)})


def parse(value: Any, path: str) -> dict[str, Any]:
    """Accept either ``port`` or ``through``."""
    found = PARAMETERS(value, path)
    if (found["port"] is None) == (found["through"] is None):
        raise spec.SpecError(f"{path}: give either port or through")
    return found


def jobs(running: Running, subjects: Sequence[Subject], asked: Parameters) -> list[Job]:
    """Ask every container, or every published port of the proxy."""
    if asked["through"]:
        endpoints = running.published(asked["through"])
        return [partial(check, one, asked["path"], {200, *REDIRECTS}) for one in endpoints]
    return [partial(check, one.endpoint(asked["port"] or 0), asked["path"], {200}) for one in subjects]


def check(endpoint: Endpoint, path: str, accepted: set[int]) -> Checked:
    """GET one path."""
    answer = request(endpoint, "GET", path, timeout=ANSWER_SECONDS)
    if answer.status in accepted:
        return Checked([])
    wrong = f"GET {endpoint.url}{path} was not answered with {' or '.join(map(str, sorted(accepted)))}"
    return Checked([Finding("http", endpoint.name, wrong, answer.shown, (f"./sse logs {endpoint.name}",))], 0)


def serving(endpoints: list[Endpoint], path: str) -> Endpoint | None:
    """Return the first endpoint that answers a path itself, and does not redirect."""
    asked = (one for one in endpoints if request(one, "GET", path, timeout=ANSWER_SECONDS).status == 200)
    return next(asked, None)


KIND = Kind("http", "HTTP endpoints", jobs, parse, awaited=True)
