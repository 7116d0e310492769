# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The steps that get images: what each is, in which order they go, and what an archive of images holds."""

from __future__ import annotations

import json
import tarfile
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

# Repository of every image that is built on the host.
OURS = "sse-platform"
# The registry of a reference that names none, as the engine has it.
DEFAULT_REGISTRY = "registry-1.docker.io"
# Hexadecimal digits of SHA-256 in a tag: short enough to read, long enough that no two inputs here share one.
HASH_LENGTH = 16
# What reading a file raises where it is no archive, or one that ends in the middle or is damaged.
BROKEN = (OSError, EOFError, KeyError, ValueError, tarfile.TarError, zlib.error)


class ImagesError(ValueError):
    """The images cannot be had as asked; the message says what to do."""


@dataclass(frozen=True)
class Step:
    """One image to get: pulled, built, or loaded from the archive."""

    image: str  # its key in the catalogue
    name: str  # what declarations call it
    reference: str
    how: Literal["pull", "build", "load"]
    context: str = ""  # directory of the Dockerfile: below the collection, or absolute for an image of one's own
    args: dict[str, str] = field(default_factory=dict[str, str])
    needs: tuple[str, ...] = ()  # keys of the images that it is built from
    file: str = ""  # an archive on the controller: one that goes into the context, or that is loaded
    loaded: str = ""  # the name that an image has in the archive, where the reference is another


def registry_of(reference: str) -> str:
    """Return the registry that a reference names: its first part, where that can be a host (distribution/reference)."""
    first, slash, __ = reference.partition("/")
    return first if slash and (first == "localhost" or set(first) & set(".:")) else DEFAULT_REGISTRY


def at_mirror(reference: str, prefix: str) -> str:
    """Return a reference at a mirror, unless it names a registry itself.

    Official images are below library/ there, as in the registry they come from.
    """
    if not prefix or registry_of(reference) != DEFAULT_REGISTRY:
        return reference
    path = reference if "/" in reference else f"library/{reference}"
    return f"{prefix.rstrip('/')}/{path}"


def missing_steps(steps: Mapping[str, Step], keys: Iterable[str], present: frozenset[str]) -> list[Step]:
    """Return what gets these images, in order. The images that a present one was built from are not needed."""
    order: dict[str, Step] = {}

    def add(key: str) -> None:
        step = steps[key]
        if step.reference in present or key in order:
            return
        for base in step.needs:
            add(base)
        order[key] = step

    for key in keys:
        add(key)
    return list(order.values())


def archive_references(path: Path, setting: str = "images_archive") -> dict[str, str]:
    """Return the tags of the images in an archive that `docker save` wrote, and what identifies the content of each.

    :param setting: what names the archive, for messages
    :raises ImagesError: for another file
    """
    try:
        with tarfile.open(path) as archive:
            manifest = archive.extractfile("manifest.json")
            entries: list[Json] = json.load(manifest) if manifest else []
            return {tag: str(entry.get("Config")) for entry in entries for tag in _tags(entry)}
    except BROKEN as error:
        raise ImagesError(
            f"{setting} is '{path}', which is no archive of images ({error}): expected a file that `docker save` wrote"
        ) from error


def _tags(entry: Json) -> list[str]:
    return entry.get("RepoTags") or []
