# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The image catalogue: which images the stack needs, and how each is got. See roles/images/vars/main.yml."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

Source = Literal["registry", "packages"]
SOURCES: tuple[Source, ...] = ("registry", "packages")


class Archive(NamedTuple):
    """A local archive that the user may give for one image; the path is empty where none is given."""

    variable: str
    path: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """How an image is got from one source: pulled, or built."""

    pull: str = ""  # upstream reference
    build: str = ""  # directory of the Dockerfile, below the collection
    bases: Mapping[str, str] = field(default_factory=dict[str, str])  # build argument -> key of the image it names
    args: Mapping[str, str] = field(default_factory=dict[str, str])  # further build arguments


@dataclass(frozen=True)
class Image:
    """One image of the catalogue."""

    key: str
    name: str  # what declarations call it
    wanted: bool  # whether these settings run it; others are built from those that are not
    recipes: Mapping[Source, Recipe]
    archive: Archive | None  # for an image that no package registry has


Catalogue = dict[str, Image]  # by key


def parse_catalogue(content: Json, settings: Mapping[str, object]) -> Catalogue:
    """Read the catalogue, and look up the settings that it names.

    :param content: ``__images_catalogue`` of roles/images/vars/main.yml, whose comment describes the keys
    :param settings: converted settings
    """
    return {key: parse_image(key, entry, settings) for key, entry in content.items()}


def fits(entry: Json, settings: Mapping[str, object]) -> bool:
    """Tell whether these settings want an image of the catalogue."""
    return all(settings[name] == value for name, value in entry.get("when", {}).items()) and not any(
        settings[name] == value for name, value in entry.get("unless", {}).items()
    )


def parse_image(key: str, entry: Json, settings: Mapping[str, object]) -> Image:
    """Read one image of the catalogue."""
    variable = entry.get("packages", {}).get("file")
    return Image(
        key,
        entry.get("name", key),
        not entry.get("internal") and fits(entry, settings),
        {
            source: Recipe(
                one.get("pull", ""),
                one.get("build", ""),
                one.get("from", {}),
                {argument: str(value) for argument, value in one.get("args", {}).items()},
            )
            for source in SOURCES
            if (one := entry.get(source))
        },
        Archive(variable, str(settings[variable]), str(settings[f"{variable}_sha256"])) if variable else None,
    )
