# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a key that was rotated is refused: each replica that takes events by the key is asked by the old one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

SECONDS = 20.0  # a replica reads its files again every other second
UNAUTHORIZED = 401
PAUSE = 0.1


def refused(running: Running, name: str, old: str) -> list[str]:
    """Return a line for each replica that refuses the old value of a secret; empty where no delivery is checked by it.

    :raises ValueError: a replica still accepts it
    """
    found: list[str] = []
    for release in running.releases:
        for check in release.get("checks", []):
            asked: dict[str, Any] = check["parameters"]
            key: dict[str, str] = asked.get("key") or {}
            if check["kind"] == deliveries.KIND.name and key.get("secret") == name:
                replicas = running.named(check["containers"])
                found += [
                    ask(one.endpoint(asked["port"]), asked["publish"], f"{key['name']}.{old}") for one in replicas
                ]
    return found


def ask(replica: Endpoint, path: str, credential: str) -> str:
    """Ask one replica until it refuses the credential; an empty body publishes nothing."""
    ends = time.monotonic() + SECONDS
    while True:
        answer = request(replica._replace(key=credential), "POST", path, "[]", timeout=SECONDS)
        if answer.status == UNAUTHORIZED:
            return f"{replica.name}: the old key is refused"
        if time.monotonic() > ends:
            raise ValueError(f"{replica.name} does not refuse the old key: {answer.shown}")
        time.sleep(PAUSE)
