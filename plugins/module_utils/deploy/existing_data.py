# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether the data that an earlier run left on the host fit the settings, told before anything changes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import HostFacts, Settings


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
        "says": (spec.dict_of(spec.text, WANTED), ...),
    }
)


def problems(services: Mapping[str, Any], settings: Settings, host: HostFacts) -> list[str]:
    """Return one sentence for each setting that the data on the host do not fit.

    :param services: declarations by service; each names its markers under ``existing_data``
    :raises SpecError: for a declaration that is not valid
    """
    return [
        problem
        for service, declaration in services.items()
        for marker in spec.list_of(MARKER)(declaration.get("existing_data", []), f"{service}.existing_data")
        for problem in of_marker(marker, declaration.get("containers", {}).get(marker["container"], {}), settings, host)
    ]


def of_marker(marker: dict[str, Any], container: dict[str, Any], settings: Settings, host: HostFacts) -> Iterator[str]:
    """Compare one marker with the settings; a marker that lacks a key was written by something else."""
    name = container.get("name") or f"{settings['stack_name']}-{marker['container']}"
    found = host["data_markers"].get(f"{name}/{marker['directory']}", {})
    wanted: dict[str, Wanted] = marker["says"]
    if not all(found.get(key) for key in wanted):
        return
    for key, one in wanted.items():
        is_there = one["means"].get(found[key], found[key])
        if one["value"] and one["value"] != is_there:
            place = f"{settings['stack_state_directory']}/data/{name}/{marker['directory']}"
            expected = is_there if one["means"] else f"{is_there} or ''"
            yield (
                f"{one['setting']} is '{one['value']}', but the data in {place} were written with {is_there} "
                f"({key}={found[key]}): expected {expected}, or another stack_state_directory. The platform does not "
                "migrate data."
            )
