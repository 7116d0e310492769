# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether the data that an earlier run left on the host fit the settings, told before anything changes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.release import version

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, KeptData, Settings


class BackupData(TypedDict):
    """What a backup says of the data in it. Containers have their short names."""

    markers: dict[str, dict[str, str]]  # container and directory -> what its meta.properties says
    kept: list[KeptData]


class Wanted(TypedDict):
    """What a marker must say: the value of a setting, or what stands for it there. An empty value accepts anything."""

    setting: str
    value: str
    means: dict[str, str]  # what the marker says -> value of the setting


WANTED = spec.record(
    {"setting": (spec.text, ...), "value": (spec.scalar, ...), "means": (spec.dict_of(spec.text, spec.text), {})}
)
MARKER = spec.record(
    {
        "container": (spec.short_name, ...),
        "directory": (spec.file_name, ...),  # as the container declares it under `data`
        "says": (spec.dict_of(spec.text, WANTED), {}),
        # The version of the program that writes the data, where an earlier one cannot read what a later one wrote.
        "writes": (spec.matching(r"[0-9]+(\.[0-9]+)*", "a version such as '4.1'"), ""),
        # The setting by which several containers have the data, each a copy, and how many they are.
        "copies": (spec.dict_of(spec.text, spec.count), {}),
    }
)


def kept(services: Mapping[str, Any], stack: str) -> list[KeptData]:
    """Return what the services declare of the format of their data, for the release.

    :raises SpecError: for a declaration that is not valid
    """
    return [
        in_release(marker, declaration, stack)
        for service, declaration in services.items()
        for marker in markers(service, declaration)
    ]


def in_release(marker: dict[str, Any], declaration: Mapping[str, Any], stack: str) -> KeptData:
    """Return what a release says of a marker."""
    found: KeptData = {
        "container": full_name(marker, declaration, stack),
        "directory": marker["directory"],
        "fits": {one["setting"]: one["value"] for one in marker["says"].values() if one["value"]},
        "writes": marker["writes"],
    }
    if (most := max(marker["copies"].values(), default=1)) > 1:
        found["copies"] = most
    return found


def markers(service: str, declaration: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Parse what one service declares of the format of its data."""
    return spec.list_of(MARKER)(declaration.get("existing_data", []), f"{service}.existing_data")


def full_name(marker: dict[str, Any], declaration: Mapping[str, Any], stack: str) -> str:
    """Return the full name of the container that a marker is about."""
    container = declaration.get("containers", {}).get(marker["container"], {})
    return container.get("name") or f"{stack}-{marker['container']}"


def problems(services: Mapping[str, Any], settings: Settings, host: HostFacts) -> list[str]:
    """Return one sentence for each setting that the data on the host do not fit.

    :param services: declarations by service; each names its markers under ``existing_data``
    :raises SpecError: for a declaration that is not valid
    """
    return [
        problem
        for service, declaration in services.items()
        for marker in markers(service, declaration)
        for problem in of_marker(marker, full_name(marker, declaration, settings["stack_name"]), settings, host)
    ]


def of_marker(marker: dict[str, Any], name: str, settings: Settings, host: HostFacts) -> Iterator[str]:
    """Compare one marker of a container on the host with the settings."""
    found = host["data_markers"].get(f"{name}/{marker['directory']}", {})
    place = f"{settings['stack_state_directory']}/data/{name}/{marker['directory']}"
    for problem in misfits(marker["says"], found, f"the data in {place} were"):
        yield f"{problem}, or another stack_state_directory. The platform does not migrate data."


def of_backup(services: Mapping[str, Any], backup: BackupData) -> Iterator[str]:
    """Say why the services cannot read the data of a backup, one sentence for each reason."""
    kept = {(one["container"], one["directory"]): one for one in backup["kept"]}
    for service, declaration in services.items():
        for marker in markers(service, declaration):
            name, directory = marker["container"], marker["directory"]
            found = backup["markers"].get(f"{name}/{directory}", {})
            for problem in misfits(marker["says"], found, f"the data of {name} in the backup were"):
                yield f"{problem}. The platform does not migrate data."
            copies = kept[name, directory].get("copies", 1) if (name, directory) in kept else 1
            for setting, wanted in marker["copies"].items():
                if wanted != copies:
                    yield (
                        f"{setting} is {wanted}, but {copies} had the data of {name} in the backup: restore it with "
                        f"{setting}={copies}, where that many have room. docs/cluster.md says what can be changed then."
                    )
            wrote = kept[name, directory]["writes"] if (name, directory) in kept else ""
            if wrote and marker["writes"] and version(wrote) > version(marker["writes"]):
                yield (
                    f"The data of {name} in the backup were written by version {wrote}, and this stack would run "
                    f"version {marker['writes']}, which cannot read what a later one wrote: restore with the settings "
                    "and the version of the collection that made the backup, or with later ones."
                )


def misfits(says: Mapping[str, Wanted], found: Mapping[str, str], what: str) -> Iterator[str]:
    """Compare what a marker says with the settings; one that lacks a key was written by something else."""
    if not all(found.get(key) for key in says):
        return
    for key, one in says.items():
        is_there = one["means"].get(found[key], found[key])
        if one["value"] and one["value"] != is_there:
            expected = is_there if one["means"] else f"{is_there} or ''"
            yield (
                f"{one['setting']} is '{one['value']}', but {what} written with {is_there} ({key}={found[key]}): "
                f"expected {expected}"
            )
