"""A release: every declaration resolved to plain data, numbered and kept on the host."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils import family, layout, reach, spec

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
            container["ports"] = family.with_twins(container["ports"], twins or {})
    return {
        "format": FORMAT,
        "stack": stack,
        "project": project,
        "layout": layout.SEGMENTED if len(networks) > 1 else layout.SINGLE,
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
        self.all = {segment: one for segment, one in networks.items() if segment != layout.PORTS}
        self.networks: dict[str, dict[str, str]] = {}
        self.networks6: dict[str, dict[str, str]] = {}
        for short, (service, one) in declared.items():
            path = f"{service}.containers.{short}"
            segments = one["segments"] if len(networks) > 1 else list(networks)
            joined = [networks[name] for name in segments if name != layout.PORTS]
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
                if (pool := family.pool_of(network, family.IPV6))
            }
            if layout.PORTS in segments:
                try:
                    own = layout.own_bridge(networks[layout.PORTS], self.full[short], one["address"])
                except ValueError as error:
                    raise spec.SpecError(f"{path}.address: {error}") from error
                self.all[own["name"]] = own
                self.networks[short][own["name"]] = own["address"]
                if "address6" in own:
                    self.networks6[short][own["name"]] = own["address6"]
            elif one["ports"] and all(network["internal"] for network in joined):
                raise spec.SpecError(
                    f"{path}.ports: {joined[0]['name']} is an internal network, where nothing is published; "
                    f"add {layout.PORTS} to its segments"
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
        if family.of(port["host_ip"]) is family.IPV6 and not names.networks6[short]:
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
        "listens": reach.listens(declared),
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
    waiting = reach.cycle({name: one["after"] for name, one in containers.items()})
    if waiting:
        first = containers[waiting[0]]
        raise spec.SpecError(
            f"{first['service']}.containers.{first['container']}.after: {' waits for '.join(waiting)}; "
            "take one of these names out"
        )


def content_hash(release: Release) -> str:
    """Hash of a release's content (not its number, nor who made it)."""
    body = {key: value for key, value in release.items() if key not in {"number", "meta"}}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def refuse_other_format(release: Release) -> None:
    """Refuse to read a release that another version of this collection wrote.

    :raises spec.SpecError: naming the way out
    """
    if release["format"] != FORMAT:
        raise spec.SpecError(
            f"release {release['number']} of {release['project']} has format {release['format']}, and this version "
            f"reads {FORMAT}: run `./sse up` without --tags once"
        )


def limited(release: Release, latest: Release | None, services: list[str]) -> Release:
    """Take only these services from the new release, and everything else as it was in the latest one.

    With no earlier release there is nothing to keep: the release is taken whole.
    """
    if not services or latest is None:
        return release
    refuse_other_format(latest)
    if latest["layout"] != release["layout"]:
        raise spec.SpecError("network_layout is another than what runs: run `./sse up` without --tags")
    if has_ipv6(latest) != has_ipv6(release):
        raise spec.SpecError("network_ipv6 is another than what runs: run `./sse up` without --tags")
    kept = {name: one for name, one in latest["containers"].items() if one["service"] not in services}
    taken = {name: one for name, one in release["containers"].items() if one["service"] in services}
    merged = {**kept, **taken}
    order = [name for name in release["containers"] if name in merged] + [
        name for name in merged if name not in release["containers"]
    ]
    return {**release, "containers": {name: merged[name] for name in order}}


def has_ipv6(release: Release) -> bool:
    """Tell whether a release's networks have IPv6."""
    return any("ipv6" in one for one in release["networks"].values())


def newest_releases(state_directory: str) -> list[Release]:
    """Return, of each project on this host, the newest release that was applied, or the newest where none was.

    :raises spec.SpecError: for a release that another version of this collection wrote
    """
    found: list[Release] = []
    for directory in sorted((Path(state_directory) / "releases").glob("*")):
        history = History(state_directory, directory.name)
        read = [one for number in reversed(history.numbers()) if (one := history.read(number))]
        applied = [one for one in read if one.get("meta", {}).get("outcome") == "applied"]
        found += (applied or read)[:1]
    for one in found:
        refuse_other_format(one)
    return found


class History:
    """The numbered releases of one project: one JSON file each, mode 0600, never rewritten but for their outcome."""

    def __init__(self, state_directory: str, project: str) -> None:
        """Keep releases under ``<state>/releases/<project>``."""
        self.directory = Path(state_directory) / "releases" / project

    def numbers(self) -> list[int]:
        """List the numbers, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(int(path.stem) for path in self.directory.glob("*.json") if path.stem.isdigit())

    def read(self, number: int) -> Release | None:
        """Return a release, or None where its file is gone.

        :raises spec.SpecError: where it was damaged
        """
        path = self.directory / f"{number:04d}.json"
        try:
            return json.loads(path.read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise spec.SpecError(
                f"{path} is damaged ({error}): move it away, the release before it counts then"
            ) from None

    def latest(self) -> Release | None:
        """Return the newest release."""
        numbers = self.numbers()
        return self.read(numbers[-1]) if numbers else None

    def has_applied(self, number: int) -> bool:
        """Tell whether the release of this number is here, and ran."""
        release = self.read(number)
        return release is not None and release["meta"].get("outcome") == "applied"

    def number_for(self, release: Release) -> int:
        """Return the latest number where the content is the same, else the next one."""
        latest = self.latest()
        if latest is None:
            return 1
        same = content_hash(latest) == content_hash(release)
        return int(latest["number"]) + (0 if same else 1)

    def write(self, release: Release) -> None:
        """Write a release in one step, so that a killed run leaves the old file or the new one."""
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{release['number']:04d}.json"
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            json.dump(release, stream, indent=1)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.replace(path)
