# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A container answers an HTTP request with 200, at its own address or through the published ports of a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, together

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANSWER_SECONDS = 5.0  # for one request inside the host
REDIRECTS = {301, 302, 307, 308}  # of a proxy that sends HTTP to HTTPS
REFUSED = 403  # of one that answers over HTTPS only
PARAMETERS = spec.record({"port": (spec.port, None), "through": (spec.short_name, None), "path": (spec.absolute, ...)})


class Parameters(TypedDict):
    """What is asked: a port of each container, or every published port of the container ``through``."""

    port: int | None
    through: str | None
    path: str


def parse(value: Any, path: str) -> dict[str, Any]:
    """Accept either ``port`` or ``through``."""
    found = PARAMETERS(value, path)
    if (found["port"] is None) == (found["through"] is None):
        raise spec.SpecError(f"{path}: give either port or through")
    return found


def check(running: Running, subjects: Sequence[Subject], asked: Parameters) -> Checked:
    """GET the path at each port."""
    ports = (
        running.published(asked["through"])
        if asked["through"]
        else [one.endpoint(asked["port"] or 0) for one in subjects]
    )
    secured = any(one.tls for one in ports)
    findings: list[Finding] = []
    for one in ports:
        accepted = {200, *(REDIRECTS if asked["through"] else ()), *({REFUSED} if secured and not one.tls else ())}
        answer = request(one, "GET", asked["path"], timeout=ANSWER_SECONDS)
        if answer.status not in accepted:
            wrong = f"GET {one.url}{asked['path']} was not answered with {' or '.join(map(str, sorted(accepted)))}"
            findings.append(Finding("http", one.name, wrong, answer.shown, (f"./sse logs {one.name}",)))
    return Checked(findings, len(ports) - len(findings))


def serving(endpoints: list[Endpoint], path: str) -> Endpoint | None:
    """Return the first endpoint that answers a path itself, and does not redirect."""
    asked = (one for one in endpoints if request(one, "GET", path, timeout=ANSWER_SECONDS).status == 200)
    return next(asked, None)


KIND = Kind("http", "HTTP endpoints", together(check), parse, awaited=True)
