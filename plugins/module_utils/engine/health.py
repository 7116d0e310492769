# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a container is healthy: the engine's last health check, or the same question asked now."""

from __future__ import annotations

import datetime as dt
import http.client
import re
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.answers import all_networks

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import HealthCheckRun, Inspected
    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import HealthCheck, Spec


def question(check: HealthCheck) -> str:
    """Say what a health check asks: its command, or its HTTP request."""
    return f"GET {check['http']['path']}" if check["http"] else " ".join(check["command"] or [])


def passed_lately(inspected: Inspected, interval: int) -> bool:
    """Tell whether the engine's last health check passed and ended less than one and a half intervals ago.

    :param interval: seconds between two health checks
    """
    health = inspected["State"].get("Health")
    log = health and health["Log"]
    if not health or not log or health["Status"] != "healthy" or log[-1]["ExitCode"] != 0:
        return False
    return (dt.datetime.now(dt.timezone.utc) - ended(log[-1])).total_seconds() < 1.5 * interval


def ended(run: HealthCheckRun) -> dt.datetime:
    """Return when a health check ended. Docker writes nanoseconds, which strptime does not read."""
    return dt.datetime.strptime(re.sub(r"\.\d+", "", run["End"]), "%Y-%m-%dT%H:%M:%S%z")


def check_health(engine: Engine, container: str, spec: Spec, patience: float = 0.0) -> tuple[bool, str]:
    """Ask a container now what its health check asks; return whether it is healthy, and the answer.

    :param patience: seconds for the answer, where that is more than the health check's own
    :raises EngineError: where the container can't be asked
    """
    check = spec["healthcheck"]
    seconds = max(check["timeout"], patience)
    if check["http"] is None:
        code, output = engine.execute(container, check["command"] or [], seconds)
        return code == 0, output or f"exit code {code}"
    network = next(iter(spec["networks"]))
    endpoint = all_networks(engine.inspect(container)).get(network)
    if not endpoint or not endpoint["IPAddress"]:
        return False, f"has no address on {network}"
    return http_check(endpoint["IPAddress"], check["http"]["port"], check["http"]["path"], seconds)


def http_check(address: str, port: int, path: str, timeout: float) -> tuple[bool, str]:
    """GET ``http://address:port/path``; return whether the status is 2xx, and the beginning of the answer.

    :param timeout: seconds for each step
    """
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(200).decode(errors="replace").strip()
        return 200 <= response.status < 300, f"GET {path} on port {port}: {response.status} {body}"
    except (OSError, http.client.HTTPException) as error:
        return False, f"GET {path} on port {port}: {error}"
    finally:
        connection.close()
