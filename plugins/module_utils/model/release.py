"""A release: every declaration resolved to plain data, numbered and kept on the host."""

from __future__ import annotations

import copy
import ipaddress
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model import connections, ip_family, segments, spec

Release = dict[str, Any]

FORMAT = 3


def build(
    declarations: dict[str, Any],
    *,
    stack: str,
    project: str,
    networks: dict[str, dict[str, Any]],
    references: dict[str, str],
    unavailable: dict[str, str],
    allow_from: list[str] | None = None,
    twins: dict[str, str] | None = None,
) -> Release:
    """Resolve all declarations of one project to a release.

    :param networks: by segment, as `layout.networks` returns them; one alone is for every container
    :param references: image reference by catalogue name
    :param allow_from: from where published ports may be reached, in CIDR notation; empty for everywhere
    :param twins: the IPv6 address that a port is published on as well, by its IPv4 one; for networks that have IPv6
    :param unavailable: reason by catalogue name; a container of such an image is left out and named
    :raises spec.SpecError: for a declaration that is not understood, or names that don't fit together
    """
    parsed: dict[str, tuple[str, spec.Spec]] = {}
    left_out: dict[str, str] = {}
    for service, declaration in declarations.items():
        for short, container in declaration.get("containers", {}).items():
            path = f"{service}.containers.{short}"
            spec.short_name(short, path)
            if short in parsed:
                raise spec.SpecError(f"{path}: service {parsed[short][0]} declares a container of this name already")
            declared = spec.parse(container, path)
            if declared["image"] in unavailable:
                left_out[short] = unavailable[declared["image"]]
            else:
                parsed[short] = (service, declared)
    names = Names(stack, networks, parsed)
    containers = {
        names.full[short]: resolve(short, service, declared, names, references)
        for short, (service, declared) in parsed.items()
    }
    refuse_collisions(containers)
    refuse_cycle(containers)
    for container in containers.values():
        if "networks6" in container:
            container["ports"] = ip_family.with_twins(container["ports"], twins or {})
    return {
        "format": FORMAT,
        "stack": stack,
        "project": project,
        "layout": segments.SEGMENTED if len(networks) > 1 else segments.SINGLE,
        "networks": {
            one["name"]: {"segment": segment, **one}
            for segment, one in names.all.items()
            if any(one["name"] in container["networks"] for container in containers.values())
        },
        "allow_from": allow_from or [],
        "containers": containers,
        "unavailable": left_out,
        "endpoints": [
            endpoint
            for declaration in declarations.values()
            for endpoint in declaration.get("endpoints", [])
            if endpoint.get("container") not in left_out
        ],
    }


class Names:
    """Full names, networks and reserved addresses of the containers of one project."""

    def __init__(self, stack: str, networks: dict[str, Any], declared: dict[str, tuple[str, spec.Spec]]) -> None:
        """Resolve every container once.

        :raises spec.SpecError: for one on no network, one that would publish in vain, or an address out of range
        """
        self.full = {short: one["name"] or f"{stack}-{short}" for short, (_, one) in declared.items()}
        self.all = {segment: one for segment, one in networks.items() if segment != segments.PORTS}
        self.networks: dict[str, dict[str, str]] = {}
        self.networks6: dict[str, dict[str, str]] = {}
        for short, (service, one) in declared.items():
            path = f"{service}.containers.{short}"
            asked = one["segments"] if len(networks) > 1 else list(networks)
            joined = [networks[name] for name in asked if name != segments.PORTS]
            if len(networks) > 1 and one["address"] is None:
                raise spec.SpecError(
                    f"{path}.address: missing; in segments, connections are judged by reserved address"
                )
            if not joined:
                known = ", ".join(self.all)
                raise spec.SpecError(f"{path}.segments: on no network; name at least one of {known}")
            self.networks[short] = {
                network["name"]: self.reserved(network, one["address"], f"{path}.address") for network in joined
            }
            self.networks6[short] = {
                network["name"]: self.reserved(pool, one["address"], f"{path}.address")
                for network in joined
                if (pool := ip_family.pool_of(network, ip_family.IPV6))
            }
            if segments.PORTS in asked:
                try:
                    own = segments.own_bridge(networks[segments.PORTS], self.full[short], one["address"])
                except ValueError as error:
                    raise spec.SpecError(f"{path}.address: {error}") from error
                self.all[own["name"]] = own
                self.networks[short][own["name"]] = own["address"]
                if "address6" in own:
                    self.networks6[short][own["name"]] = own["address6"]
            elif one["ports"] and all(network["internal"] for network in joined):
                raise spec.SpecError(
                    f"{path}.ports: {joined[0]['name']} is an internal network, where nothing is published; "
                    f"add {segments.PORTS} to its segments"
                )

    @staticmethod
    def reserved(network: dict[str, Any], number: int | None, path: str) -> str:
        """Return the address of this host number; empty where the engine is to choose one."""
        if number is None:
            return ""
        subnet = ipaddress.ip_network(network["subnet"])
        if number >= subnet.num_addresses:
            raise spec.SpecError(f"{path}: {number} is no host number inside the network's subnet {subnet}")
        return str(subnet[number])

    def address_of(self, short: str, user: str, path: str) -> str:
        """Return the reserved address of a container on the first network that it shares with another."""
        shared = [name for name in self.networks[user] if name in self.networks.get(short, {})]
        address = self.networks[short][shared[0]] if shared else ""
        if not address:
            raise spec.SpecError(f"{path}: {short!r} has no reserved address on a network of {user!r}")
        return address


def resolve(short: str, service: str, declared: spec.Spec, names: Names, references: dict[str, str]) -> spec.Spec:
    """Turn a declaration into the spec that the engine is asked for."""
    path = f"{service}.containers.{short}"
    if declared["image"] not in references:
        known = ", ".join(sorted(references))
        raise spec.SpecError(f"{path}.image: {declared['image']!r} is not in the image catalogue ({known})")
    for index, port in enumerate(declared["ports"]):
        if ip_family.of(port["host_ip"]) is ip_family.IPV6 and not names.networks6[short]:
            place = f"{path}.ports[{index}].host_ip"
            raise spec.SpecError(f"{place}: {port['host_ip']} is an IPv6 address, and network_ipv6 is false")
    unknown = [name for name in declared["after"] if name not in names.full]
    if unknown:
        raise spec.SpecError(f"{path}.after: {unknown[0]!r} is not a container of this project")
    resolved = copy.deepcopy(
        {key: value for key, value in declared.items() if key not in {"name", "address", "segments"}}
    )
    resolved |= {
        "container": short,
        "service": service,
        "image": references[declared["image"]],
        "aliases": list(dict.fromkeys([short, *declared["aliases"]])),
        "networks": names.networks[short],
        **({"networks6": names.networks6[short]} if names.networks6[short] else {}),
        "hosts": {name: names.address_of(name, short, f"{path}.hosts") for name in declared["hosts"]}
        | ({spec.HOST: spec.GATEWAY} if declared["reaches_host"] else {}),
        "after": [names.full[name] for name in declared["after"]],
        "listens": connections.listens(declared),
    }
    return resolved


def refuse_collisions(containers: dict[str, spec.Spec]) -> None:
    """Refuse two containers with one address, one alias or one published port."""
    owners: dict[tuple[str, Any], str] = {}
    for name, container in containers.items():
        claims: list[tuple[str, Any]] = [("alias", alias) for alias in container["aliases"]]
        claims += [("address", address) for address in container["networks"].values() if address]
        claims += [("published port", one["host_port"]) for one in container["ports"]]
        for claim in claims:
            if claim in owners:
                raise spec.SpecError(f"{claim[0]} {claim[1]} is claimed twice: by {owners[claim]} and by {name}")
            owners[claim] = name


def refuse_cycle(containers: dict[str, spec.Spec]) -> None:
    """Refuse containers that each wait for the other: none of them would ever start."""
    waiting = connections.cycle({name: one["after"] for name, one in containers.items()})
    if waiting:
        first = containers[waiting[0]]
        raise spec.SpecError(
            f"{first['service']}.containers.{first['container']}.after: {' waits for '.join(waiting)}; "
            "take one of these names out"
        )
