"""Ask a container once, now, whether it is healthy: the same question that its health check asks."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.spec import Spec


def http_probe(address: str, port: int, path: str, timeout: float) -> tuple[bool, str]:
    """GET ``http://address:port/path``; any 2xx is healthy. The answer's first line tells why not."""
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


def probe(engine: Engine, container: str, spec: Spec) -> tuple[bool, str]:
    """Ask a container once, now, whether it is healthy: just what its healthcheck would ask."""
    check = spec["healthcheck"]
    if check["command"] is not None:
        code, output = engine.execute(container, check["command"], check["timeout"])
        return code == 0, output or f"exit code {code}"
    networks = engine.inspect(container)["NetworkSettings"]["Networks"]
    network = next(iter(spec["networks"]))
    address = networks.get(network, {}).get("IPAddress", "")
    if not address:
        return False, f"has no address on {network}"
    return http_probe(address, check["http"]["port"], check["http"]["path"], check["timeout"])
