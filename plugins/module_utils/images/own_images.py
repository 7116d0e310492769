# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Images of one's own, for containers of `services_extra`: from a registry, a build context or an archive.

This runs on the controller. A name that the image catalogue has is left to the catalogue.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from ansible_collections.sse.platform.plugins.module_utils.images.steps import (
    HASH_LENGTH,
    OURS,
    ImagesError,
    Step,
    archive_references,
    at_mirror,
)
from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

# FROM of a Dockerfile, with the name of the stage (Dockerfile reference, FROM).
FROM = re.compile(r"^\s*FROM\s+(?:--\S+\s+)*(?P<base>\S+)(?:\s+AS\s+(?P<stage>\S+))?", re.IGNORECASE | re.MULTILINE)


class OwnImage(NamedTuple):
    """An image of one's own: who declares it first, and the step that gets it."""

    service: str
    place: str  # for messages, such as services_extra.hello.containers.hello.image
    step: Step


def declared(services: Json) -> Iterator[tuple[str, str, str]]:
    """Yield service, place and key of every image; what is no declaration is refused later, with the release."""
    for service, declaration in services.items():
        for short, container in _dictionary(_dictionary(declaration).get("containers")).items():
            if "image" in _dictionary(container):
                place = f"services_extra.{service}.containers.{short}.image"
                try:
                    yield service, place, spec.image(container["image"], place)
                except spec.SpecError as error:
                    raise ImagesError(str(error)) from error


def steps(
    services: Json,
    names: Mapping[str, str],
    catalogue: Mapping[str, Step],
    prefix: str,
    hash_of: Callable[[str], str],
) -> dict[str, OwnImage]:
    """Return the images of one's own by the key that `spec.image` gives them.

    :param services: the setting services_extra
    :param names: key by name, of the images of the catalogue that this stack runs
    :param catalogue: the steps of the catalogue's images by key; images may be built from them
    :param prefix: the setting images_registry_prefix
    :param hash_of: returns the hash of a build context
    :raises ImagesError: for an image that cannot be had
    """
    found: dict[str, OwnImage] = {}
    for service, place, key in declared(services):
        if key in names or key in found:
            continue
        if not key.startswith("{"):
            step = Step(key, key, at_mirror(full_reference(key), prefix), "pull")
        else:
            given: Json = json.loads(key)
            if "archive" in given:
                step = _loaded(key, given, place)
            else:
                step = _built(key, given, place, {**catalogue, **_by_name(names, catalogue)}, hash_of)
        found[key] = OwnImage(service, place, step)
    return found


def _dictionary(value: Any) -> Json:
    return cast("Json", value) if isinstance(value, dict) else {}


def full_reference(reference: str) -> str:
    """Return a reference as the engine lists it: without the default registry, with a tag, or with a digest alone."""
    match = spec.REFERENCE.fullmatch(reference)
    if match is None:
        raise ImagesError(f"{reference!r} is no reference of an image")
    name = match["name"].removeprefix("docker.io/").removeprefix("library/")
    return f"{name}{match['digest'] or match['tag'] or ':latest'}"


def _by_name(names: Mapping[str, str], catalogue: Mapping[str, Step]) -> dict[str, Step]:
    return {name: catalogue[key] for name, key in names.items() if key in catalogue}


def _built(key: str, given: Json, place: str, bases: Mapping[str, Step], hash_of: Callable[[str], str]) -> Step:
    directory = given["build"]
    if not (Path(directory) / "Dockerfile").is_file():
        raise ImagesError(f"{place}.build is '{directory}', which has no Dockerfile: expected a directory with one")
    unknown = sorted(set(given["from"].values()) - set(bases))
    if unknown:
        raise ImagesError(f"{place}.from names {unknown[0]}: expected one of {', '.join(sorted(bases))}")
    needs = {argument: bases[name] for argument, name in given["from"].items()}
    args = {**{argument: step.reference for argument, step in needs.items()}, **given["args"]}
    content = json.dumps([hash_of(directory), sorted(args.items())])
    name, reference = _named(directory, content)
    return Step(key, name, reference, "build", directory, args, tuple(step.image for step in needs.values()))


def _loaded(key: str, given: Json, place: str) -> Step:
    path = given["archive"]
    tags = archive_references(Path(path), f"{place}.archive")
    tag = given["reference"] or (next(iter(tags)) if len(tags) == 1 else "")
    if tag not in tags:
        what = f"has no image {tag}" if tag else "does not say which of its images is meant"
        raise ImagesError(
            f"{place}.archive is '{path}', which {what}: expected `reference`, one of "
            f"{', '.join(sorted(tags)) or 'the names in the archive, which has none (save the image by its name)'}"
        )
    name, reference = _named(tag.rpartition(":")[0], tags[tag])
    return Step(key, name, reference, "load", file=path, loaded=tag)


def _named(path: str, content: str) -> tuple[str, str]:
    """Return a name for people, and a reference that changes with the content."""
    name = re.sub(r"[^a-z0-9]+", "-", Path(path).name.lower()).strip("-") or "image"
    return name, f"{OURS}/own-{name}:{hashlib.sha256(content.encode()).hexdigest()[:HASH_LENGTH]}"


def asked(own: Mapping[str, OwnImage], missing: Iterable[Step], present: frozenset[str]) -> dict[str, str]:
    """Return the references that a registry must have for the missing images, each with the place that names it."""
    found: dict[str, str] = {}
    for step in missing:
        if step.image not in own:
            continue
        place = own[step.image].place
        if step.how == "pull":
            found[step.reference] = place
        elif step.how == "build":
            dockerfile = (Path(step.context) / "Dockerfile").read_text(errors="replace")
            found |= dict.fromkeys(bases(dockerfile), f"{place}.build ({step.context}/Dockerfile)")
    return {reference: place for reference, place in found.items() if reference not in present}


def bases(dockerfile: str) -> list[str]:
    """Return the references that a Dockerfile begins its stages from, without earlier stages and build arguments."""
    stages = {"scratch"}
    found: list[str] = []
    for match in FROM.finditer(dockerfile):
        base = match["base"]
        if base not in stages and "$" not in base and spec.REFERENCE.fullmatch(base):
            found.append(full_reference(base))
        stages.add(match["stage"] or "")
    return found
