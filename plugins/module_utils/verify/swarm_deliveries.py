# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Events that are published through each edge of a cluster arrive once at every edge, and every replica takes some."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy import switches
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify import swarm_checks
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries
from ansible_collections.sse.platform.plugins.module_utils.verify.checks.http_answer import serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.checks.deliveries import Parameters
    from ansible_collections.sse.platform.plugins.module_utils.verify.swarm_checks import Seen

# A proxy that answers to its own names alone answers to this one, too: by it, a host asks itself.
CALLED = "localhost"
# A proxy asks for names each second, and takes what was answered three times (follow_names.sh): right after a replica
# began, it leads to none yet.
FOLLOW_SECONDS = 20.0
PAUSE_SECONDS = 1.0  # between two looks


def through_edges(
    seen: Seen,
    state_directory: str,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Checked:
    """Run every declared check of deliveries through each host that publishes its proxy."""
    until = clock() + FOLLOW_SECONDS
    findings: list[Finding] = []
    verified = 0
    for release, names, asked in declared(seen):
        edges: list[Endpoint] = []
        for host, endpoints in published(seen, release, asked["through"]).items():
            while not (edge := serving(endpoints, asked["health"])) and clock() < until:
                sleep(PAUSE_SECONDS)
            if edge:
                edges.append(edge._replace(key=key(asked, state_directory)))
            else:
                urls = ", ".join(one.url for one in endpoints)
                evidence = f"none of {urls} answers {asked['health']} with 200"
                mend = f"docker service logs {release['stack']}-{asked['through']}"
                findings.append(Finding("deliveries", host, "serves the API at no published port", evidence, (mend,)))
        operator = switches.operator(state_directory)
        for edge in edges:
            others = [one for one in edges if one is not edge]
            passage = deliveries.travel(asked, edge, others, operator, names)
            findings += passage.findings
            verified += passage.deliveries
    return Checked(findings, verified)


def declared(seen: Seen) -> Iterator[tuple[Release, list[str], Parameters]]:
    """Yield each declared check with its release and the full names of the containers that are to take events."""
    for release in seen.releases:
        full = {one["container"]: name for name, one in release["containers"].items()}
        for check in release.get("checks", []):
            if check["kind"] == deliveries.KIND.name:
                names = [full[short] for short in check["containers"] if short in full]
                yield release, names, cast("Parameters", check["parameters"])


def published(seen: Seen, release: Release, short: str) -> dict[str, list[Endpoint]]:
    """Return the published ports of a container on each host that may run it, by the name of the host."""
    urls = [one.get("url", "") for one in release.get("endpoints", []) if one.get("container") == short]
    for service in seen.services:
        spec = release["containers"].get(service.name)
        if spec and spec["container"] == short:
            return {
                host: [
                    Endpoint(
                        f"{service.name} on {host}",
                        seen.addresses[host],
                        port["PublishedPort"],
                        any(url.startswith("https:") and f":{port['PublishedPort']}/" in url for url in urls),
                        called=CALLED,
                    )
                    for port in service.request["EndpointSpec"]["Ports"]
                ]
                for host in swarm_checks.serving(seen, service.group)
                if host in seen.addresses
            }
    return {}


def key(asked: Parameters, state_directory: str) -> str:
    """Return the API key of a check as clients send it; empty where none is needed."""
    if not asked["key"]:
        return ""
    path = Path(state_directory) / "secrets" / asked["key"]["secret"]
    return f"{asked['key']['name']}.{path.read_text() if path.exists() else ''}"
