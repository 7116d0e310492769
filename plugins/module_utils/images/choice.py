# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Choose where the images come from, and say which of them the host lacks.

This runs on the controller. It reads build contexts and archives there, and touches no host.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.host.checksum import digest_of
from ansible_collections.sse.platform.plugins.module_utils.images import bundle, own_images
from ansible_collections.sse.platform.plugins.module_utils.images.build_contexts import context_hash
from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import SOURCES, Catalogue, Source
from ansible_collections.sse.platform.plugins.module_utils.images.steps import (
    DEFAULT_REGISTRY,
    HASH_LENGTH,
    OURS,
    ImagesError,
    Step,
    archive_references,
    at_mirror,
    missing_steps,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.images.catalogue import Image, Recipe
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Settings


@dataclass(frozen=True)
class Host:
    """What the choice needs to know of the managed host."""

    present: frozenset[str]  # references
    distribution: str
    registry_answers: Callable[[str], bool]  # called only where the answer decides
    runs: frozenset[str] = frozenset()  # references of the images that containers of this stack have


class Choice(TypedDict):
    """The fact ``images``."""

    source: str
    reason: str
    references: dict[str, str]  # by name
    unavailable: dict[str, str]  # name -> reason
    missing: list[str]  # keys of the images to get
    steps: list[dict[str, Any]]  # `Step`, in order
    every: list[dict[str, Any]]  # the same as if the host had none, for the other hosts of a cluster
    asked: dict[str, str]  # reference that a registry must have -> the place that names it
    needed: list[str]  # references of all images of ours that this run, or one with another source, can need


# --- one source


def registry_host(prefix: str) -> str:
    """Return the registry that answers for a prefix."""
    return prefix.split("/", maxsplit=1)[0] if prefix else DEFAULT_REGISTRY


class Resolver:
    """Every image of the catalogue from one source."""

    def __init__(
        self,
        catalogue: Catalogue,
        source: Source,
        settings: Settings,
        hash_of: Callable[[str], str],
        stays: Iterable[str] = (),
    ) -> None:
        """Resolve all images.

        :param stays: references that are on the host and that containers of this stack have
        :param hash_of: returns the hash of a build context, by its path below the collection
        """
        self.catalogue = catalogue
        self.source: Source = source
        self.settings = settings
        self.hash_of = hash_of
        self.stays = sorted(stays)
        self.steps: dict[str, Step] = {}  # by key, each after those that it is built from
        self.unavailable: dict[str, str] = {}  # key -> reason
        for key in catalogue:
            self.resolve(key)

    def resolve(self, key: str) -> Step | None:
        """Return the step that gets an image; None where it cannot be had."""
        if key not in self.steps and key not in self.unavailable:
            found = self.step(self.catalogue[key])
            if isinstance(found, Step):
                self.steps[key] = found
            else:
                self.unavailable[key] = found
        return self.steps.get(key)

    def step(self, image: Image) -> Step | str:
        """Return the step that gets an image, or the reason why it cannot be had."""
        archive = image.archive
        # An archive that the user gave for this very image wins over a registry.
        recipe = image.recipes.get("packages" if archive and archive.path else self.source)
        if recipe is None:
            return f"there is no {image.name} in source {self.source}"
        if recipe.pull:
            return Step(image.key, image.name, at_mirror(recipe.pull, self.settings["images_registry_prefix"]), "pull")
        if archive and not archive.path:
            # Built by an earlier run from an archive that this run does not get: it goes on as it is.
            for reference in self.stays:
                if reference.startswith(f"{OURS}/{image.name}:"):
                    return Step(image.key, image.name, reference, "build")
            return (
                f"no package registry has {image.name}: download its tar.gz or deb to this controller, and give "
                f"-e {archive.variable}=FILE with -e {archive.variable}_sha256=... (sha256sum FILE prints it), or take "
                "all images from a registry, with -e images_source=registry"
            )
        bases = {argument: self.resolve(base) for argument, base in recipe.bases.items()}
        missing = sorted(recipe.bases[argument] for argument, base in bases.items() if base is None)
        if missing:
            return f"it is built from {', '.join(missing)}, which cannot be had"
        args = {argument: base.reference for argument, base in bases.items() if base}
        return self.build(image, recipe, {**args, **recipe.args})

    def build(self, image: Image, recipe: Recipe, args: dict[str, str]) -> Step:
        """Return the step that builds an image. Its tag is a hash of all that goes into the build."""
        inputs: list[object] = [self.hash_of(recipe.build), sorted(args.items())]
        if image.key == "base":
            inputs.append(self.settings["images_debian_suite"])
        if image.archive:
            inputs.append(image.archive.sha256)
        tag = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:HASH_LENGTH]
        reference = f"{OURS}/{image.name}:{tag}"
        file = image.archive.path if image.archive else ""
        return Step(image.key, image.name, reference, "build", recipe.build, args, tuple(recipe.bases.values()), file)


# --- an archive


def from_archive(catalogue: Catalogue, keys: Mapping[str, str], tags: Iterable[str], file: str = "") -> dict[str, Step]:
    """Return the steps for the images of an archive, by key. Images are found by repository, whatever their tag is."""
    by_repository = {tag.rpartition(":")[0]: tag for tag in tags}
    steps: dict[str, Step] = {}
    for name, key in keys.items():
        registry = catalogue[key].recipes.get("registry")
        for repository in (f"{OURS}/{name}", registry.pull.rpartition(":")[0] if registry else ""):
            if repository in by_repository:
                steps[key] = Step(key, name, by_repository[repository], "load", file=file)
                break
    return steps


# --- the choice


def choose(catalogue: Catalogue, settings: Settings, host: Host, collection: Path, only: Iterable[str] = ()) -> Choice:
    """Return the fact ``images``.

    :param collection: directory of the collection on the controller
    :param only: names of the images to get, where the run is limited to some
    :raises ImagesError: the chosen source has not what is needed
    :raises ContextError: a build context is not complete
    """
    keys = {image.name: key for key, image in catalogue.items() if image.wanted}

    @cache
    def hash_of(context: str) -> str:
        return context_hash(collection / context)

    stays = host.runs & host.present
    resolved: dict[Source, Resolver] = {
        source: Resolver(catalogue, source, settings, hash_of, stays) for source in SOURCES
    }
    source, reason = _source(catalogue, settings, host, keys, resolved, bundle.manifest(collection) is not None)
    if source == "archive":
        steps, unavailable = _archive_steps(catalogue, settings, keys)
    elif source == "bundle":
        steps, unavailable = _bundle_steps(catalogue, keys, collection)
    else:
        steps, unavailable = resolved[source].steps, resolved[source].unavailable
    own = own_images.steps(settings["services_extra"], keys, steps, settings["images_registry_prefix"], hash_of)
    if source == "bundle":
        own = {key: one._replace(step=_bundled(collection, one.step)) for key, one in own.items()}
    limit = set(only) & {*keys, *settings["services_extra"]}
    needed = [key for name, key in keys.items() if key in steps and (not limit or name in limit)]
    needed += [key for key, one in own.items() if not limit or one.service in limit]
    every = {**steps, **{key: one.step for key, one in own.items()}}
    missing = missing_steps(every, needed, host.present)
    if any(step.image == "base" and step.how == "build" for step in missing):
        _refuse_missing_mirror(settings, host)
    _refuse_wrong_file(catalogue, [step for step in missing if step.image not in own])
    # Those of both sources: the next run may use the other one.
    of_any_source = {
        step.reference for each in (every, *(one.steps for one in resolved.values())) for step in each.values()
    }
    return {
        "source": source,
        "reason": reason,
        "references": {name: steps[key].reference for name, key in keys.items() if key in steps}
        | {key: one.step.reference for key, one in own.items()},
        "unavailable": {name: unavailable[key] for name, key in keys.items() if key not in steps},
        "missing": [step.image for step in missing],
        "steps": [asdict(step) for step in missing],
        "every": [asdict(step) for step in missing_steps(every, needed, frozenset())],
        "asked": own_images.asked(own, missing, host.present),
        "needed": sorted(reference for reference in of_any_source if reference.startswith(f"{OURS}/")),
    }


def _archive_steps(
    catalogue: Catalogue, settings: Settings, keys: Mapping[str, str]
) -> tuple[dict[str, Step], dict[str, str]]:
    """Return the steps of images_archive by key, and by key why an image is not available."""
    path = settings["images_archive"]
    steps = from_archive(catalogue, keys, archive_references(Path(path)), path)
    optional = {key for key, image in catalogue.items() if image.archive}
    absent = sorted(name for name, key in keys.items() if key not in steps and key not in optional)
    if absent:
        raise ImagesError(
            f"images_archive is '{path}', which lacks {', '.join(absent)}: "
            "expected an archive with every image of the stack"
        )
    return steps, dict.fromkeys(optional, "it is not in images_archive")


def _bundle_steps(
    catalogue: Catalogue, keys: Mapping[str, str], collection: Path
) -> tuple[dict[str, Step], dict[str, str]]:
    """Return the steps of the bundle by key, and by key why an image is not available."""
    held = bundle.manifest(collection)
    steps = from_archive(catalogue, keys, held["images"] if held else (), str(_bundle_file(collection)))
    optional = {key for key, image in catalogue.items() if image.archive}
    for name, key in keys.items():
        if key not in steps and key not in optional:
            raise _not_bundled(name)
    return steps, dict.fromkeys(optional, "it is not in the bundle")


def _bundled(collection: Path, step: Step) -> Step:
    """Return the step that loads an image of one's own from the bundle, whatever brought it there."""
    held = bundle.manifest(collection)
    if held is None or step.reference not in held["images"]:
        raise _not_bundled(step.reference)
    return Step(step.image, step.name, step.reference, "load", file=str(_bundle_file(collection)))


def _bundle_file(collection: Path) -> Path:
    return collection / bundle.DIRECTORY / bundle.IMAGES


def _not_bundled(name: str) -> ImagesError:
    return ImagesError(
        f"images_source is 'bundle', and the bundle that this checkout came in does not hold {name}: "
        "expected a bundle that was made with the same settings, by ./sse bundle FILE -i INVENTORY"
    )


def _source(
    catalogue: Catalogue,
    settings: Settings,
    host: Host,
    keys: Mapping[str, str],
    resolved: Mapping[Source, Resolver],
    has_bundle: bool,
) -> tuple[Source | Literal["archive", "bundle"], str]:
    """Return the source and the reason for it."""
    asked = settings["images_source"]
    if asked == "archive" and not settings["images_archive"]:
        raise ImagesError("images_source is 'archive' and images_archive is '': give the path of the archive")
    if asked == "bundle" and not has_bundle:
        raise ImagesError(
            "images_source is 'bundle', and this checkout did not come in a bundle: unpack one that ./sse bundle made, "
            "and run the ./sse inside it"
        )
    if asked != "auto":
        return asked, f"images_source is {asked}"
    for source in SOURCES:
        steps = resolved[source].steps
        # Our own programs are built from the checkout in either source: their change must not move the others.
        others = [
            steps[key]
            for key in keys.values()
            if key in steps and not _is_own_program(catalogue[key].recipes.get(source))
        ]
        if all(step.reference in host.present for step in others):
            return source, "those images are on the host"
    if settings["images_archive"]:
        return "archive", "images_archive is given"
    if has_bundle:
        return "bundle", "this checkout came in a bundle"
    registry = registry_host(settings["images_registry_prefix"])
    if host.registry_answers(registry):
        return "registry", f"{registry} answers"
    return "packages", f"the image registry {registry} does not answer"


def _is_own_program(recipe: Recipe | None) -> bool:
    return recipe is not None and bool(recipe.build) and not recipe.build.startswith("roles/")


def _refuse_missing_mirror(settings: Settings, host: Host) -> None:
    if not settings["images_debian_mirror"] and host.distribution != "debian":
        raise ImagesError(
            f"images_debian_mirror is '' and this host runs {host.distribution}: to build images from packages here, "
            "give the address of a Debian archive"
        )


def _refuse_wrong_file(catalogue: Catalogue, missing: Iterable[Step]) -> None:
    """Compare each given archive with its checksum. It may be large, so this is done only where it is to be used."""
    for step in missing:
        archive = catalogue[step.image].archive
        if step.how != "build" or not step.file or archive is None:
            continue  # a file that is loaded is an archive of images
        try:
            with Path(step.file).open("rb") as file:
                digest = digest_of(file)
        except OSError as error:
            raise ImagesError(f"{archive.variable} is '{step.file}', which can't be read: {error.strerror}") from error
        if digest != archive.sha256.lower():
            raise ImagesError(
                f"{archive.variable}_sha256 is '{archive.sha256}' but the file '{step.file}' has "
                f"{digest}: get the file again, or correct the checksum"
            )
