"""A release: every declaration resolved to plain data, numbered and kept on the host."""

from __future__ import annotations

import copy
import hashlib
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils import reach, spec

Release = dict[str, Any]

FORMAT = 2


def build(
    declarations: dict[str, Any],
    *,
    stack: str,
    project: str,
    network: dict[str, str],
    references: dict[str, str],
    unavailable: dict[str, str],
) -> Release:
    """Resolve all declarations of one project to a release.

    :param network: ``name`` and ``subnet`` of the network that the containers join
    :param references: image reference by catalogue name
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
    names = Names(stack, ipaddress.ip_network(network["subnet"]), {key: value for key, (_, value) in parsed.items()})
    containers = {
        names.full[short]: resolve(short, service, declared, names, network["name"], references)
        for short, (service, declared) in parsed.items()
    }
    refuse_collisions(containers)
    refuse_cycle(containers)
    return {
        "format": FORMAT,
        "stack": stack,
        "project": project,
        "network": network,
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
    """Full names and reserved addresses of the containers of one project."""

    def __init__(self, stack: str, subnet: Any, declared: dict[str, spec.Spec]) -> None:
        """Resolve every short name once."""
        self.full = {short: one["name"] or f"{stack}-{short}" for short, one in declared.items()}
        self.address = {
            short: str(subnet[one["address"]]) if one["address"] is not None else ""
            for short, one in declared.items()
            if one["address"] is None or one["address"] < subnet.num_addresses
        }

    def address_of(self, short: str, path: str) -> str:
        """Return the reserved address of a container."""
        if not self.address.get(short):
            raise spec.SpecError(f"{path}: {short!r} has no reserved address inside the network's subnet")
        return self.address[short]


def resolve(
    short: str, service: str, declared: spec.Spec, names: Names, network: str, references: dict[str, str]
) -> spec.Spec:
    """Turn a declaration into the spec that the engine is asked for."""
    path = f"{service}.containers.{short}"
    if declared["image"] not in references:
        known = ", ".join(sorted(references))
        raise spec.SpecError(f"{path}.image: {declared['image']!r} is not in the image catalogue ({known})")
    unknown = [name for name in declared["after"] if name not in names.full]
    if unknown:
        raise spec.SpecError(f"{path}.after: {unknown[0]!r} is not a container of this project")
    resolved = copy.deepcopy({key: value for key, value in declared.items() if key not in {"name", "address"}})
    resolved |= {
        "container": short,
        "service": service,
        "image": references[declared["image"]],
        "aliases": list(dict.fromkeys([short, *declared["aliases"]])),
        "network": network,
        "address": names.address_of(short, path) if declared["address"] is not None else "",
        "hosts": {name: names.address_of(name, f"{path}.hosts") for name in declared["hosts"]},
        "after": [names.full[name] for name in declared["after"]],
        "listens": reach.listens(declared),
    }
    return resolved


def refuse_collisions(containers: dict[str, spec.Spec]) -> None:
    """Refuse two containers with one address, one alias or one published port."""
    owners: dict[tuple[str, Any], str] = {}
    for name, container in containers.items():
        claims: list[tuple[str, Any]] = [("alias", alias) for alias in container["aliases"]]
        claims += [("address", container["address"])] if container["address"] else []
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
    kept = {name: one for name, one in latest["containers"].items() if one["service"] not in services}
    taken = {name: one for name, one in release["containers"].items() if one["service"] in services}
    merged = {**kept, **taken}
    order = [name for name in release["containers"] if name in merged] + [
        name for name in merged if name not in release["containers"]
    ]
    return {**release, "containers": {name: merged[name] for name in order}}


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
        """Return a release, or None where its file is gone."""
        try:
            return json.loads((self.directory / f"{number:04d}.json").read_text())
        except FileNotFoundError:
            return None

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
