# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the engine holds, as the host facts tell it: the engine itself, its networks, containers and images."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.engine import answers
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import command_line, has_userland_proxy
from ansible_collections.sse.platform.plugins.module_utils.host import engine_traits
from ansible_collections.sse.platform.plugins.module_utils.host.procfs import read
from ansible_collections.sse.platform.plugins.module_utils.model import engine_api
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import IPV4, IPV6, of

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        ContainerFact,
        EngineFact,
        Json,
        NetworkFact,
        Pool,
    )

ENGINE_ROOT = "/var/lib/docker"
# Role docker leaves this file where it installed the engine. It belongs to the host: several stacks share one engine.
MANAGED = "/var/lib/sse.platform/engine"


class EngineFacts(NamedTuple):
    """What one look at an engine shows."""

    engine: EngineFact
    networks: list[NetworkFact]
    containers: list[ContainerFact]
    images: dict[str, str]  # reference -> id


def observe(api: Api, configuration: Json, pid: int | None) -> EngineFacts:
    """Ask an engine what it is and what it holds.

    :param configuration: of dockerd's configuration file
    :param pid: of dockerd
    :raises OSError: where no engine answers
    """
    version = api.version()
    if engine_traits.product(version) != engine_traits.DOCKER:  # its other answers may have another form
        return EngineFacts(describe_engine({}, version, configuration, pid), [], [], {})
    containers = api.containers()
    return EngineFacts(
        describe_engine(api.info(), version, configuration, pid),
        describe_networks(api.networks(), containers),
        describe_containers(containers),
        describe_images(api.images()),
    )


def describe_engine(info: answers.Info, version: answers.Version, configuration: Json, pid: int | None) -> EngineFact:
    """Return the fact ``engine``."""
    swarm = info.get("Swarm") or {}
    words = command_line(pid)
    route_localnet = read("/proc/sys/net/ipv4/conf/docker0/route_localnet")
    return {
        "version": version["Version"],
        "api_version": version["ApiVersion"],
        "stable_ip6tables": engine_api.has(version["ApiVersion"], engine_api.IP6TABLES),
        "live_restore": bool(info.get("LiveRestoreEnabled")),
        "userland_proxy": has_userland_proxy(configuration, words, route_localnet),
        "swarm": swarm.get("LocalNodeState") or "inactive",
        "swarm_error": swarm.get("Error") or "",
        "root_dir": info.get("DockerRootDir") or ENGINE_ROOT,
        "log_driver": info.get("LoggingDriver") or "",
        "managed": Path(MANAGED).exists(),
        "sdk": importlib.util.find_spec("docker") is not None,
        "traits": engine_traits.describe(info, version, configuration, words, pid),
    }


def describe_networks(
    networks: list[answers.InspectedNetwork], containers: list[answers.ListedContainer]
) -> list[NetworkFact]:
    """Return the fact ``networks``."""
    found: list[NetworkFact] = []
    for network in networks:
        name = network["Name"]
        pools = [pool_fact(one) for one in (network["IPAM"] or {}).get("Config") or [] if one.get("Subnet")]
        first = {of(one["subnet"]): one for one in reversed(pools)}
        device = (network["Options"] or {}).get("com.docker.network.bridge.name")
        found.append(
            {
                "name": name,
                "id": network["Id"],
                "driver": network["Driver"],
                "subnets": [one["subnet"] for one in pools],
                **first.get(IPV4, pool_fact({})),
                "ipv6": first.get(IPV6),
                "internal": network["Internal"],
                "labels": network["Labels"] or {},
                "device": device or f"br-{network['Id'][:12]}",
                "containers": sorted(answers.name_of(one) for one in containers if name in answers.networks_of(one)),
                **answers.encryption(network),
            }
        )
    return found


def pool_fact(pool: answers.AddressPool) -> Pool:
    """Describe an address pool of a network; a part that nobody chose is empty."""
    return {
        "subnet": pool.get("Subnet", ""),
        "gateway": pool.get("Gateway", ""),
        "ip_range": pool.get("IPRange", ""),
    }


def describe_containers(containers: list[answers.ListedContainer]) -> list[ContainerFact]:
    """Return the fact ``containers``; a stopped container has no ports there."""
    return [
        {
            "name": answers.name_of(container),
            "image": container["Image"],
            "labels": container["Labels"] or {},
            "ports": [
                {"host_ip": port.get("IP", ""), "host_port": port["PublicPort"], "protocol": port["Type"]}
                for port in container["Ports"] or []
                if "PublicPort" in port
            ],
            "state": container["State"],
        }
        for container in containers
        if container["Names"]
    ]


def describe_images(images: list[answers.ListedImage]) -> dict[str, str]:
    """Return the fact ``images``: the image's id by each reference (tag or digest) that names it."""
    return {
        reference: image["Id"]
        for image in images
        for reference in [*(image["RepoTags"] or []), *(image["RepoDigests"] or [])]
        if "<none>" not in reference
    }
