# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Grafana's datasources, each asked by Grafana itself whether it answers."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, json_object, request
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

ANSWER_SECONDS = 10.0  # Grafana asks Prometheus before it answers


class Parameters(TypedDict):
    """The port, the user, and the secret that the container has as this user's password."""

    port: int
    user: str
    password: str


def check(_running: Running, subject: Subject, asked: Parameters) -> Checked:
    """Ask one Grafana, with the password that its container was given."""
    password = subject.secret(asked["password"])
    if password is None:
        note = f"{subject.name} has no file with its password, so its datasources were not asked"
        return Checked(verified=0, notes=[note])
    return ask(subject.endpoint(asked["port"]), asked["user"], password)


def ask(endpoint: Endpoint, user: str, password: str) -> Checked:
    """Ask for the health of each datasource."""
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    listed = request(endpoint, "GET", "/api/datasources", headers=headers, timeout=ANSWER_SECONDS)
    if listed.status == 401:
        note = f"{endpoint.name}: the {user} password was changed there, so its datasources were not asked"
        return Checked(verified=0, notes=[note])
    sources = datasources(listed)
    if not sources:
        mend = ("# Is a datasource provisioned?", f"./sse logs {endpoint.name}")
        wrong = f"lists no datasource at {endpoint.url}/api/datasources"
        return Checked([Finding("datasources", endpoint.name, wrong, listed.shown, mend)], 0)
    findings: list[Finding] = []
    for source in sources:
        path = f"/api/datasources/uid/{source.get('uid', '')}/health"
        answer = request(endpoint, "GET", path, headers=headers, timeout=ANSWER_SECONDS)
        if not works(answer):
            place = source.get("url", "the address of the datasource")
            mend = (f"# Does {place} answer from {endpoint.name}?", f"./sse logs {endpoint.name}")
            wrong = f"datasource {source.get('name')!r} does not answer at {path}"
            findings.append(Finding("datasources", endpoint.name, wrong, answer.shown, mend))
    return Checked(findings, len(sources) - len(findings))


def datasources(answer: Answer) -> list[dict[str, Any]]:
    """Read the list of datasources; empty if the answer holds no list."""
    listed: Any = json_object(f'{{"sources": {answer.body}}}').get("sources")
    return cast("list[dict[str, Any]]", listed) if answer.status == 200 and isinstance(listed, list) else []


def works(answer: Answer) -> bool:
    """Read a datasource's health answer."""
    return answer.status == 200 and answer.record.get("status") == "OK"


PARAMETERS = {"port": (spec.port, ...), "user": (spec.text, ...), "password": (spec.text, ...)}
KIND = Kind("datasources", "datasources", each(check), spec.record(PARAMETERS))
