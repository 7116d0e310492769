"""Grafana's datasources, each asked by Grafana itself whether it answers."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.host.http import Answer, Endpoint, json_object, request
from ansible_collections.sse.platform.plugins.module_utils.model.fault import Fault

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec

PASSWORD = "grafana_admin_password"  # noqa: S105
ANSWER_SECONDS = 10.0  # Grafana asks Prometheus before it answers


def check(endpoint: Endpoint, password: str) -> tuple[list[Fault], int, list[str]]:
    """Return faults, how many datasources answer, and notes."""
    token = base64.b64encode(f"admin:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {token}"}
    listed = request(endpoint, "GET", "/api/datasources", headers=headers, timeout=ANSWER_SECONDS)
    if listed.status == 401:
        return [], 0, [f"{endpoint.name}: its admin password was changed there, so its datasources were not asked"]
    sources = datasources(listed)
    if not sources:
        advice = f"is the datasource provisioned? ./sse logs {endpoint.name}"
        return (
            [Fault(endpoint.name, f"list datasources at {endpoint.url}/api/datasources", listed.shown, advice)],
            0,
            [],
        )
    faults: list[Fault] = []
    for source in sources:
        path = f"/api/datasources/uid/{source.get('uid', '')}/health"
        answer = request(endpoint, "GET", path, headers=headers, timeout=ANSWER_SECONDS)
        if not works(answer):
            advice = f"does {source.get('url', 'its address')} answer from {endpoint.name}? ./sse logs {endpoint.name}"
            faults.append(
                Fault(endpoint.name, f"ask datasource {source.get('name')!r} at {path}", answer.shown, advice)
            )
    return faults, len(sources) - len(faults), []


def datasources(answer: Answer) -> list[dict[str, Any]]:
    """Read the list of datasources; empty where the answer is none."""
    listed: Any = json_object(f'{{"sources": {answer.body}}}').get("sources")
    return cast("list[dict[str, Any]]", listed) if answer.status == 200 and isinstance(listed, list) else []


def works(answer: Answer) -> bool:
    """Read a datasource's health answer."""
    return answer.status == 200 and answer.record.get("status") == "OK"


def password_of(spec: Spec, inspected: Inspected) -> str | None:
    """Read the admin's password from the file that the container itself was given; None where it has none."""
    sources = {mount["Destination"]: mount["Source"] for mount in inspected["Mounts"] or []}
    for target, files in spec["secrets"].items():
        for file, one in files.items():
            if one["secret"] == PASSWORD and target in sources:
                before, _, after = one["format"].partition("{}")
                text = (Path(sources[target]) / file).read_text()
                return text[len(before) : len(text) - len(after)]
    return None
