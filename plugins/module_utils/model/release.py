# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""A release: every declaration of one project, resolved to plain data."""

from __future__ import annotations

import copy
import ipaddress
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.model import (
    connections,
    elsewhere,
    ip_family,
    secret,
    segments,
    spec,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import (
        Check,
        Declaration,
        KeptData,
        Network,
        Release,
        Segment,
        Spec,
    )

FORMAT = 3
# What a service may declare. The roles of consumers read the metrics and routes; `verify.kinds` reads the checks, and
# `verify.resumes` the drill.
KEYS = {
    *("canary", "checks", "containers", "drill", "elsewhere", "endpoints", "existing_data", "metrics", "routes"),
    *("resize", "secret_files", "secrets", "unlimited"),
}


class Declared(NamedTuple):
    """One declared container, and where it is declared."""

    service: str
    path: str  # for messages, such as redis.containers.redis-master
    container: Declaration


def build(
    declarations: Mapping[str, Any],
    *,
    stack: str,
    project: str,
    networks: Mapping[Segment, Network],
    references: Mapping[str, str],
    unavailable: Mapping[str, str],
    allow_from: list[str] | None = None,
    twins: Mapping[str, str] | None = None,
    checks: list[Check] | None = None,
    data: list[KeptData] | None = None,
) -> Release:
    """Resolve all declarations of one project to a release.

    :param declarations: by service, as the roles declare them
    :param networks: by segment, as `segments.networks` returns them; a single one is for every container
    :param references: image reference by catalogue name
    :param unavailable: reason by catalogue name; a container of such an image is left out and named
    :param allow_from: from where published ports may be reached, in CIDR notation; empty for everywhere
    :param twins: the IPv6 address that a port is published on as well, by its IPv4 one; for networks that have IPv6
    :param checks: what the services declare of checks, parsed by their kinds
    :param data: what the services declare of the format of their data
    :raises spec.SpecError: for a declaration that is not valid, or for names that do not fit together
    """
    declared = parse_all(declarations)
    secrets = secret.declared(declarations)
    for one in declared.values():
        secret.refuse_unread(secrets, one.service, one.container, one.path)
    left_out = {
        short: unavailable[one.container["image"]]
        for short, one in declared.items()
        if one.container["image"] in unavailable
    }
    names = Names(stack, networks, {short: one for short, one in declared.items() if short not in left_out})
    containers = {full: resolve(short, declared[short], names, references) for short, full in names.full.items()}
    refuse_collisions(containers)
    refuse_cycle(containers)
    refuse_strangers(containers)
    for container in containers.values():
        if "networks6" in container:
            container["ports"] = ip_family.with_twins(container["ports"], twins or {})
    outside = elsewhere.declared(declarations)
    joined = {name for container in containers.values() for name in container["networks"]}
    built: Release = {
        "format": FORMAT,
        "stack": stack,
        "project": project,
        "layout": segments.SEGMENTED if len(networks) > 1 else segments.SINGLE,
        "networks": {one["name"]: one for one in names.all if one["name"] in joined},
        "allow_from": allow_from or [],
        "containers": containers,
        "unavailable": left_out,
        "secrets": secrets,
        "checks": checks or [],
        "data": data or [],
        "unlimited": {
            names.full[short]: limits
            for declaration in declarations.values()
            for short, limits in declaration.get("unlimited", {}).items()
            if limits and short in names.full
        },
        "endpoints": [
            endpoint
            for declaration in declarations.values()
            for endpoint in declaration.get("endpoints", [])
            if endpoint.get("container") not in left_out
        ],
    }
    if outside:
        built["elsewhere"] = outside
    return built


def parse_all(declarations: Mapping[str, Any]) -> dict[str, Declared]:
    """Parse every declared container; return them by short name."""
    declared: dict[str, Declared] = {}
    for service, declaration in declarations.items():
        unknown = sorted(set(spec.dictionary(declaration, service)) - KEYS)
        if unknown:
            raise spec.SpecError(f"{service}.{unknown[0]}: unknown key; known keys are {', '.join(sorted(KEYS))}")
        for short, container in declaration.get("containers", {}).items():
            path = f"{service}.containers.{short}"
            spec.short_name(short, path)
            if short in declared:
                raise spec.SpecError(f"{path}: service {declared[short].service} already has a container of this name")
            declared[short] = Declared(service, path, spec.parse(container, path))
    return declared


class Names:
    """Full names, networks and reserved addresses of the containers of one project."""

    def __init__(self, stack: str, networks: Mapping[Segment, Network], declared: Mapping[str, Declared]) -> None:
        """Resolve every container once.

        :raises spec.SpecError: for a container on no network, a port that would not be published, or an address out of
            range
        """
        self.full = {short: one.container["name"] or f"{stack}-{short}" for short, one in declared.items()}
        self.all = [one for segment, one in networks.items() if segment != segments.PORTS]
        self.networks: dict[str, dict[str, str]] = {}
        self.networks6: dict[str, dict[str, str]] = {}
        for short, one in declared.items():
            self.join(short, one, networks)

    def join(self, short: str, declared: Declared, networks: Mapping[Segment, Network]) -> None:
        """Give one container its address on each of its networks, and a bridge of its own if it publishes ports."""
        path, one = declared.path, declared.container
        asked = one["segments"] if len(networks) > 1 else list(networks)
        joined = [networks[name] for name in asked if name != segments.PORTS]
        if len(networks) > 1 and one["address"] is None:
            raise spec.SpecError(
                f"{path}.address: missing; in segments, the stack firewall knows a container by its reserved address"
            )
        if not joined:
            known = ", ".join(name for name in networks if name != segments.PORTS)
            raise spec.SpecError(f"{path}.segments: on no network; name at least one of {known}")
        reserved = self.networks[short] = {
            network["name"]: self.reserved(network["subnet"], one["address"], f"{path}.address") for network in joined
        }
        reserved6 = self.networks6[short] = {
            network["name"]: self.reserved(pool["subnet"], one["address"], f"{path}.address")
            for network in joined
            if (pool := network.get("ipv6"))
        }
        if segments.PORTS in asked and segments.PORTS not in networks:
            pass  # the Swarm of several hosts has no such bridges
        elif segments.PORTS in asked:
            try:
                own = segments.own_bridge(networks[segments.PORTS], self.full[short], one["address"])
            except ValueError as error:
                raise spec.SpecError(f"{path}.address: {error}") from error
            self.all.append(own)
            reserved[own["name"]] = own["address"]
            if "address6" in own:
                reserved6[own["name"]] = own["address6"]
        elif one["ports"] and all(network["internal"] for network in joined):
            raise spec.SpecError(
                f"{path}.ports: {joined[0]['name']} is an internal network, where nothing is published; "
                f"add {segments.PORTS} to its segments"
            )

    @staticmethod
    def reserved(text: str, number: int | None, path: str) -> str:
        """Return the address of this host number in a subnet; empty where the engine chooses one."""
        if number is None:
            return ""
        subnet = ipaddress.ip_network(text)
        if number >= subnet.num_addresses:
            raise spec.SpecError(f"{path}: {number} is no host number inside the network's subnet {subnet}")
        return str(subnet[number])

    def address_of(self, short: str, user: str, path: str) -> str:
        """Return the reserved address of a container on the first network that it shares with another.

        A name such as app-9 that nobody has now is a later replica of app-1: its address is eight further.
        """
        base, __, number = short.rpartition("-")
        if short not in self.full and f"{base}-1" in self.full and number.isdigit():
            return str(ipaddress.ip_address(self.address_of(f"{base}-1", user, path)) + int(number) - 1)
        shared = [name for name in self.networks[user] if name in self.networks.get(short, {})]
        address = self.networks[short][shared[0]] if shared else ""
        if not address:
            raise spec.SpecError(f"{path}: {short!r} has no reserved address on a network of {user!r}")
        return address


def resolve(short: str, declared: Declared, names: Names, references: Mapping[str, str]) -> Spec:
    """Turn a declaration into the spec that the engine is asked for."""
    path, one = declared.path, declared.container
    if one["image"] not in references:
        known = ", ".join(sorted(references))
        raise spec.SpecError(f"{path}.image: {one['image']!r} is not in the image catalogue ({known})")
    for index, port in enumerate(one["ports"]):
        if ip_family.of(port["host_ip"]) is ip_family.IPV6 and not names.networks6[short]:
            place = f"{path}.ports[{index}].host_ip"
            raise spec.SpecError(f"{place}: {port['host_ip']} is an IPv6 address, and network_ipv6 is false")
    unknown = [name for name in one["after"] if name not in names.full]
    if unknown:
        raise spec.SpecError(f"{path}.after: {unknown[0]!r} is not a container of this project")
    resolved: dict[str, object] = {
        **{key: copy.deepcopy(value) for key, value in one.items() if key not in {"name", "address", "segments"}},
        "container": short,
        "service": declared.service,
        "image": references[one["image"]],
        "aliases": list(dict.fromkeys([short, *one["aliases"]])),
        "networks": names.networks[short],
        "hosts": {name: names.address_of(name, short, f"{path}.hosts") for name in one["hosts"]}
        | ({spec.HOST: spec.GATEWAY} if one["reaches_host"] else {}),
        "after": [names.full[name] for name in one["after"]],
        "listens": connections.listens(one),
    }
    if one.get("reload") is None:
        resolved.pop("reload", None)
    for key in ("farewell", "shared", "tier", "ways_out"):
        if not one.get(key):
            resolved.pop(key, None)
    if names.networks6[short]:
        resolved["networks6"] = names.networks6[short]
    return cast("Spec", resolved)  # a test compares the keys with those of Spec


def refuse_collisions(containers: Mapping[str, Spec]) -> None:
    """Refuse two containers with one address, one alias or one published port."""
    owners: dict[tuple[str, str | int], str] = {}
    for name, container in containers.items():
        claims: list[tuple[str, str | int]] = [("alias", alias) for alias in container["aliases"]]
        claims += [("address", address) for address in container["networks"].values() if address]
        claims += [("published port", one["host_port"]) for one in container["ports"]]
        for claim in claims:
            if claim in owners:
                raise spec.SpecError(f"{claim[0]} {claim[1]} is claimed twice: by {owners[claim]} and by {name}")
            owners[claim] = name


def refuse_strangers(containers: Mapping[str, Spec]) -> None:
    """Refuse a shared directory whose containers have different users: only one of them could write there."""
    users: dict[str, tuple[str, str]] = {}
    for name, container in containers.items():
        for directory in container.get("shared", {}).values():
            first, user = users.setdefault(directory, (name, container["user"]))
            if user != container["user"]:
                raise spec.SpecError(
                    f"{container['service']}.containers.{container['container']}.shared: {first} has the directory "
                    f"{directory!r}, too, as user {user}, and this container is user {container['user']}; expected "
                    "one user"
                )


def refuse_cycle(containers: Mapping[str, Spec]) -> None:
    """Refuse containers that wait for each other: none of them would ever start."""
    waiting = connections.cycle({name: one["after"] for name, one in containers.items()})
    if waiting:
        first = containers[waiting[0]]
        raise spec.SpecError(
            f"{first['service']}.containers.{first['container']}.after: {' waits for '.join(waiting)}; "
            "take one of these names out"
        )


def version(text: str) -> list[int]:
    """Return the version of a program, such as 4.1, for comparison."""
    return [int(part) for part in text.split(".") if part.isdigit()]


def opened_at(releases: Iterable[Release]) -> list[dict[str, str]]:
    """Return where people open what runs: first what is a project of its own, for people; then what is behind it."""
    in_order = sorted(releases, key=lambda one: one["project"] == f"{one['stack']}-platform")
    return [
        {"name": one.get("name", ""), "url": one.get("url", "")}
        for release in in_order
        for one in release.get("endpoints", [])
    ]


def opened(releases: Iterable[Release]) -> list[str]:
    """Say where people open what runs."""
    found = opened_at(releases)
    width = max((len(one["name"]) for one in found), default=0)
    return [f"  {one['name'].ljust(width)}  {one['url']}" for one in found]
