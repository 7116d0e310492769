"""Which images the stack needs, where each comes from, and what is missing on the host.

Pure: reads build contexts and archives on the controller, touches no host. The catalogue is roles/images/vars/main.yml.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

# Repository of every image that is built on the host.
OURS = "sse-platform"
# As the engine reads a reference that names no registry.
DEFAULT_REGISTRY = "registry-1.docker.io"
SOURCES = ("registry", "packages")
# Of SHA-256, in hexadecimal digits: a tag people can read, and no two inputs of this project will share one.
HASH_LENGTH = 16

Catalogue = Mapping[str, Mapping[str, Any]]
Settings = Mapping[str, Any]


class ImagesError(ValueError):
    """What was asked for can't be had; the message says what to do."""


@dataclass(frozen=True)
class Step:
    """One image to get: pulled, built, or loaded from the archive."""

    image: str  # its key in the catalogue
    name: str  # what declarations call it
    reference: str
    how: str  # pull, build or load
    context: str = ""  # directory of the Dockerfile, below the collection
    args: dict[str, str] = field(default_factory=dict[str, str])
    needs: tuple[str, ...] = ()  # keys of the images it is built from
    file: str = ""  # a local archive that goes into the context


@dataclass(frozen=True)
class Host:
    """What the choice needs to know of the managed host."""

    present: frozenset[str]  # references
    distribution: str
    registry_answers: Callable[[str], bool]  # asked only where the answer decides


# --- build contexts


def _ignored(path: str, patterns: Iterable[str]) -> bool:
    """Whether a pattern of .dockerignore names the path (exceptions by '!' are not understood)."""
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(name, pattern[3:]) if pattern.startswith("**/") else fnmatch.fnmatchcase(path, pattern)
        for pattern in patterns
    )


def context_files(directory: Path) -> dict[str, Path]:
    """Files of a build context by their path in it, without those that its .dockerignore leaves out.

    Raises:
        ImagesError: the directory has no Dockerfile
    """
    if not (directory / "Dockerfile").is_file():
        raise ImagesError(f"{directory} has no Dockerfile: the collection is not complete")
    listing = directory / ".dockerignore"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    found: dict[str, Path] = {}
    for parent, directories, files in os.walk(directory):
        above = Path(parent).relative_to(directory)
        # Ignored directories are not entered: node_modules has thousands of files.
        directories[:] = [name for name in directories if not _ignored((above / name).as_posix(), patterns)]
        for name in files:
            path = (above / name).as_posix()
            if not _ignored(path, patterns):
                found[path] = directory / path
    return dict(sorted(found.items()))


def context_hash(directory: Path) -> str:
    """Hash of names, contents and execute permissions: all that a build can see of its context."""
    listing = [
        (name, bool(path.stat().st_mode & 0o100), hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in context_files(directory).items()
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def pack_contexts(collection: Path, contexts: Iterable[str]) -> bytes:
    """The contexts as one tar archive, each below its path in the collection; the same files give the same bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for context in sorted(set(contexts)):
            for name, path in context_files(collection / context).items():
                content = path.read_bytes()
                member = tarfile.TarInfo(f"{context}/{name}")
                member.size = len(content)
                member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


# --- one source


def upstream(reference: str, prefix: str) -> str:
    """The reference at a mirror. Official images lie below library/ there, as in the registry they come from."""
    if not prefix:
        return reference
    path = reference if "/" in reference else f"library/{reference}"
    return f"{prefix.rstrip('/')}/{path}"


def registry_host(prefix: str) -> str:
    """The registry that answers for a prefix."""
    return prefix.split("/", maxsplit=1)[0] if prefix else DEFAULT_REGISTRY


def resolve(
    catalogue: Catalogue, source: str, settings: Settings, hash_of: Callable[[str], str]
) -> tuple[dict[str, Step], dict[str, str]]:
    """Every image of the catalogue in one source.

    Args:
        catalogue: the catalogue
        source: registry or packages
        settings: converted settings
        hash_of: hash of a build context by its path below the collection

    Returns:
        Steps by key, each after those it is built from; and by key the reason why an image can't be had
    """
    steps: dict[str, Step] = {}
    unavailable: dict[str, str] = {}

    def add(key: str) -> Step | None:
        if key in steps or key in unavailable:
            return steps.get(key)
        entry = catalogue[key]
        name = str(entry.get("name", key))
        given = str(entry.get("packages", {}).get("file", ""))
        # An archive that the user gave for this very image wins over a registry.
        recipe: Mapping[str, Any] = entry.get("packages" if given and settings[given] else source, {})
        if not recipe:
            unavailable[key] = f"there is no {name} in source {source}"
            return None
        if "pull" in recipe:
            reference = upstream(str(recipe["pull"]), settings["images_registry_prefix"])
            steps[key] = Step(key, name, reference, "pull")
            return steps[key]
        if given and not settings[given]:
            unavailable[key] = (
                f"{name} is in no package registry: give a local archive of it as {given}, with {given}_sha256"
            )
            return None
        needs = cast("dict[str, str]", recipe.get("from", {}))
        bases = {argument: add(base) for argument, base in needs.items()}
        missing = sorted(needs[argument] for argument, base in bases.items() if base is None)
        if missing:
            unavailable[key] = f"it is built from {', '.join(missing)}, which can't be had"
            return None
        args = {argument: base.reference for argument, base in bases.items() if base}
        args |= {argument: str(value) for argument, value in recipe.get("args", {}).items()}
        context = str(recipe["build"])
        inputs: list[Any] = [hash_of(context), sorted(args.items())]
        if key == "base":
            inputs.append(settings["images_debian_suite"])
        if given:
            inputs.append(settings[f"{given}_sha256"])
        tag = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:HASH_LENGTH]
        file = str(settings[given]) if given else ""
        steps[key] = Step(key, name, f"{OURS}/{name}:{tag}", "build", context, args, tuple(needs.values()), file)
        return steps[key]

    for key in catalogue:
        add(key)
    return steps, unavailable


def wanted(catalogue: Catalogue, settings: Settings) -> dict[str, str]:
    """Key in the catalogue by name, of the images that these settings run."""
    return {
        str(entry.get("name", key)): key
        for key, entry in catalogue.items()
        if not entry.get("internal")
        and all(settings[setting] == value for setting, value in entry.get("when", {}).items())
    }


def missing_steps(steps: Mapping[str, Step], keys: Iterable[str], present: frozenset[str]) -> list[Step]:
    """What has to be got for these images, in order. What a present image was built from is not needed."""
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


# --- an archive


def archive_references(path: Path) -> list[str]:
    """Tags of the images in an archive that `docker save` wrote.

    Raises:
        ImagesError: not such an archive
    """
    try:
        with tarfile.open(path) as archive:
            manifest = archive.extractfile("manifest.json")
            entries = cast("list[dict[str, Any]]", json.load(manifest) if manifest else [])
            return [tag for entry in entries for tag in cast("list[str]", entry.get("RepoTags") or [])]
    except (OSError, KeyError, ValueError, tarfile.TarError) as error:
        raise ImagesError(
            f"images_archive is '{path}', which is no archive of images ({error}): "
            "accepted is what `docker save` writes"
        ) from error


def from_archive(catalogue: Catalogue, keys: Mapping[str, str], tags: Iterable[str]) -> dict[str, Step]:
    """Steps by key for the images of an archive: whatever tag it has them under, by their repository."""
    by_repository = {tag.rpartition(":")[0]: tag for tag in tags}
    steps: dict[str, Step] = {}
    for name, key in keys.items():
        pulled = str(catalogue[key].get("registry", {}).get("pull", "")).rpartition(":")[0]
        for repository in (f"{OURS}/{name}", pulled):
            if repository in by_repository:
                steps[key] = Step(key, name, by_repository[repository], "load")
                break
    return steps


# --- the choice


def choose(
    catalogue: Catalogue, settings: Settings, host: Host, collection: Path, only: Iterable[str] = ()
) -> dict[str, Any]:
    """The fact `images`.

    Args:
        catalogue: the catalogue
        settings: converted settings
        host: what is known of the managed host
        collection: directory of the collection on the controller
        only: names of the images to get, where the run is limited to some

    Raises:
        ImagesError: the chosen source can't serve here
    """
    keys = wanted(catalogue, settings)
    hashes: dict[str, str] = {}

    def hash_of(context: str) -> str:
        if context not in hashes:
            hashes[context] = context_hash(collection / context)
        return hashes[context]

    resolved = {source: resolve(catalogue, source, settings, hash_of) for source in SOURCES}
    source, reason = _source(catalogue, settings, host, keys, resolved)
    if source == "archive":
        steps = from_archive(catalogue, keys, archive_references(Path(settings["images_archive"])))
        optional = {key for key, entry in catalogue.items() if "file" in entry.get("packages", {})}
        unavailable = dict.fromkeys(optional, "it is not in images_archive")
        absent = sorted(name for name, key in keys.items() if key not in steps and key not in optional)
        if absent:
            raise ImagesError(
                f"images_archive is '{settings['images_archive']}', which lacks {', '.join(absent)}: "
                "accepted is an archive with every image of the stack"
            )
    else:
        steps, unavailable = resolved[source]
    limit = set(only) & set(keys)
    needed = [key for name, key in keys.items() if key in steps and (not limit or name in limit)]
    missing = missing_steps(steps, needed, host.present)
    if any(step.image == "base" and step.how == "build" for step in missing):
        _refuse_missing_mirror(settings, host)
    _refuse_wrong_file(catalogue, settings, missing)
    # Of both sources: another stack on the host, or the next run, may use the other.
    kept = {step.reference for each in (steps, *(one for one, _ in resolved.values())) for step in each.values()}
    return {
        "source": source,
        "reason": reason,
        "references": {name: steps[key].reference for name, key in keys.items() if key in steps},
        "unavailable": {name: unavailable[key] for name, key in keys.items() if key not in steps},
        "missing": [step.image for step in missing],
        "steps": [asdict(step) for step in missing],
        "superseded": sorted(
            reference
            for reference in host.present
            if reference.startswith(f"{OURS}/") and "@" not in reference and reference not in kept
        ),
    }


def _source(
    catalogue: Catalogue,
    settings: Settings,
    host: Host,
    keys: Mapping[str, str],
    resolved: Mapping[str, tuple[dict[str, Step], dict[str, str]]],
) -> tuple[str, str]:
    """The source and the reason for it."""
    asked = settings["images_source"]
    if asked == "archive" and not settings["images_archive"]:
        raise ImagesError("images_source is 'archive' and images_archive is '': give the path of the archive")
    if asked != "auto":
        return asked, f"images_source is {asked}"
    for source in SOURCES:
        steps, _ = resolved[source]
        # Our own programs are built from the checkout in either source: their change must not move the others.
        others = [
            steps[key]
            for key in keys.values()
            if key in steps and not _is_own_program(catalogue[key].get(source, {}).get("build", ""))
        ]
        if all(step.reference in host.present for step in others):
            return source, "those images are on the host"
    if settings["images_archive"]:
        return "archive", "images_archive is given"
    registry = registry_host(settings["images_registry_prefix"])
    if host.registry_answers(registry):
        return "registry", f"{registry} answers"
    return "packages", f"the image registry {registry} does not answer"


def _is_own_program(context: str) -> bool:
    return bool(context) and not context.startswith("roles/")


def _refuse_missing_mirror(settings: Settings, host: Host) -> None:
    if not settings["images_debian_mirror"] and host.distribution != "debian":
        raise ImagesError(
            f"images_debian_mirror is '' and this host runs {host.distribution}: to build images from packages here, "
            "give the address of a Debian archive"
        )


def _refuse_wrong_file(catalogue: Catalogue, settings: Settings, missing: Iterable[Step]) -> None:
    """Compare each given archive with its checksum; only where it is about to be used, since it may be large."""
    for step in missing:
        if not step.file:
            continue
        variable = catalogue[step.image]["packages"]["file"]
        digest = hashlib.sha256()
        try:
            with Path(step.file).open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise ImagesError(f"{variable} is '{step.file}', which can't be read: {error.strerror}") from error
        if digest.hexdigest() != settings[f"{variable}_sha256"].lower():
            raise ImagesError(
                f"{variable}_sha256 is '{settings[f'{variable}_sha256']}' but the file '{step.file}' has "
                f"{digest.hexdigest()}: get the file again, or correct the checksum"
            )


# --- a failed build

# Lines of a build's log to show: enough for a compiler's error, few enough to read.
SHOWN_LINES = 15
_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_TROUBLE = re.compile(r"error|fatal|fail|denied|not found|cannot|could not|unable|no space|^E:", re.IGNORECASE)


def build_failure(message: str) -> str:
    """What matters of community.docker's message on a failed build: the command, and its lines that tell of trouble."""
    head, _, listed = message.partition(", logs: ")
    try:
        log: object = ast.literal_eval(listed)
    except (SyntaxError, ValueError):
        return message
    if not isinstance(log, list):
        return message
    text = _ESCAPE.sub("", "\n".join(str(part) for part in cast("list[object]", log)))
    _, _, last = text.rpartition("---> Running in ")
    lines = [line.rstrip() for line in last.splitlines()[1:] if line.strip()]
    trouble = [line for line in lines if _TROUBLE.search(line)] or lines
    return "\n".join([head, *trouble[:SHOWN_LINES]])
