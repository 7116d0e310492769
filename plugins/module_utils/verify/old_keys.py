# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether a key that was rotated is refused: each replica that takes events by the key is asked by the old one."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told
from ansible_collections.sse.platform.plugins.module_utils.host.http import Endpoint, request
from ansible_collections.sse.platform.plugins.module_utils.host.namespace import inside
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4
from ansible_collections.sse.platform.plugins.module_utils.verify.checks import deliveries

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

SECONDS = 20.0  # a replica reads its files again every other second
UNAUTHORIZED = 401
PAUSE = 0.1


def refused(running: Running, name: str, old: str) -> list[str]:
    """Return a line for each replica that refuses the old value of a secret; empty where no delivery is checked by it.

    :raises ValueError: a replica still accepts it
    """
    return [
        ask(one.endpoint(asked["port"]), asked["publish"], credential)
        for __, containers, asked, credential in judged(running.releases, {name: old})
        for one in running.named(containers)
    ]


def refused_in_tasks(engine: Engine, releases: Sequence[Release], old: Mapping[str, str]) -> list[str]:
    """Return the same of the replicas of a Swarm that run on this host; each is asked from within its network.

    :param old: the old values of secrets, by name
    :raises ValueError: a replica still accepts one
    """
    found: list[str] = []
    for release, containers, asked, credential in judged(releases, old):
        names = {name for name, one in release["containers"].items() if one["container"] in containers}
        for name, identity in node_told.running(engine, release["stack"]):
            if name in names:
                own = Endpoint(name, IPV4.loopback, asked["port"])
                pid = engine.inspect(identity)["State"]["Pid"]
                found.append(inside(pid, partial(ask, own, asked["publish"], credential)))
    return found


def judged(
    releases: Sequence[Release], old: Mapping[str, str]
) -> Iterator[tuple[Release, Sequence[str], dict[str, Any], str]]:
    """Yield each check of deliveries by a key whose secret had another value: where, how, and by which old key."""
    for release in releases:
        for check in release.get("checks", []):
            asked: dict[str, Any] = check["parameters"]
            key: dict[str, str] = asked.get("key") or {}
            if check["kind"] == deliveries.KIND.name and key.get("secret") in old:
                yield release, check["containers"], asked, f"{key['name']}.{old[key['secret']]}"


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
