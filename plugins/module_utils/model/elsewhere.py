# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What containers of a stack use that runs outside of it and belongs to somebody else: declared as data. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere, Release, Spec

FIELDS: spec.Fields = {
    "name": (spec.text, ...),
    "servers": (spec.list_of(spec.server), ...),
    "part": (spec.text, ""),
    "containers": (spec.list_of(spec.short_name), ...),
    "why": (spec.text, ...),
    "program": (spec.text, ...),
    "asks": (spec.dictionary, {}),
    "secrets": (spec.dict_of(spec.text, spec.text), {}),
    "keeps": (spec.text, ""),
    "instead_of": (spec.short_name, ""),
    "move": (spec.text, ""),
}
PARSE = spec.list_of(spec.record(FIELDS))


def declared(services: Mapping[str, Any]) -> list[Elsewhere]:
    """Check and normalise what the services of one project declare under ``elsewhere``.

    :param services: declarations by service
    :raises SpecError: naming the place
    """
    every = {short for one in services.values() for short in one.get("containers", {})}
    found: list[Elsewhere] = []
    for service, declaration in services.items():
        path = f"{service}.elsewhere"
        for index, one in enumerate(cast("list[Elsewhere]", PARSE(declaration.get("elsewhere", []), path))):
            for short in one["containers"]:
                if short not in every:
                    raise spec.refuse(f"{path}[{index}].containers", short, f"a container: {', '.join(sorted(every))}")
            found.append({**one, "service": service})
    return found


def of_releases(releases: Iterable[Release]) -> Iterator[tuple[Release, Elsewhere]]:
    """Return everything that releases use elsewhere, each with its release."""
    return ((release, one) for release in releases for one in release.get("elsewhere", []))


def place(one: Elsewhere) -> str:
    """Say what it is and where, and which part of it where a declaration says so."""
    of = f"{part} of " if (part := one.get("part")) else ""
    return f"{of}{one['name']} at {', '.join(one['servers'])}"


def users(releases: Iterable[Release]) -> Iterator[tuple[str, Spec, Elsewhere]]:
    """Return the containers that use something elsewhere, by their full names, each with what it uses."""
    return (
        (name, spec, one)
        for release, one in of_releases(releases)
        for name, spec in release["containers"].items()
        if spec["container"] in one["containers"]
    )


def files(one: Elsewhere, container: Spec) -> dict[str, str]:
    """Return the paths at which a container has the secrets, by what the program calls them."""
    mounted = {
        file["secret"]: f"{target}/{name}"
        for key in ("secrets", "live_secrets")
        for target, files in cast("dict[str, Any]", container)[key].items()
        for name, file in files.items()
    }
    return {called: mounted[secret] for called, secret in one["secrets"].items() if secret in mounted}


def kept_there(releases: Iterable[Release]) -> list[str]:
    """Say which data are elsewhere: no backup of the stack holds them, and its removal leaves them."""
    return [f"{one['keeps']} ({place(one)})" for __, one in of_releases(releases) if one["keeps"]]
