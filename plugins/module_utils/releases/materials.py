# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The bill of materials of a release (SBOM, CycloneDX 1.5): which packages are in the images that it runs.

It is read from the running containers, so it says what is there, not what was meant to be. No link is followed: an
image decides where its links lead.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import MATERIALS, bill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from ansible_collections.sse.platform.plugins.module_utils.model.types import StoredRelease
    from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import StackRelease

Component = dict[str, Any]  # as CycloneDX has it

ID_DIGITS = 24
STATUS = "var/lib/dpkg/status"
# Where programs of other package managers are, in the images of the catalogue.
JARS = ("opt", "usr/share/java")
PYTHON = ("usr/lib", "usr/local/lib", "opt")
DEEPEST = 6  # directories below one of these
LONGEST = 64 << 20  # bytes of a file that is read


def keep(
    state_directory: str,
    release: StoredRelease,
    roots: Callable[[str], Path | None],
    digests: Callable[[str], list[str]] = lambda __: [],
) -> Path:
    """Write the bill of materials of a release.

    :param digests: takes the id of an image; returns its digests in the registries that it came from
    :param roots: takes the full name of a container; returns the root of its file system, or None where it does not run
    """
    state = Path(state_directory)
    images: dict[str, Component] = {}
    for name, one in release["containers"].items():
        identity = one.get("image_id") or ""
        if identity not in images:
            known = components(state, identity, lambda name=name: roots(name))
            images[identity] = {
                "type": "container",
                "bom-ref": identity or one["image"],
                "name": one["image"],
                "version": identity,
                "properties": [{"name": "digest", "value": digest} for digest in digests(identity)],
                "components": known,
            }
    path = bill(state, release["project"], release["number"])
    state_modes.make(path.parent.parent)
    path.parent.mkdir(mode=state_modes.PRIVATE, exist_ok=True)
    write_file(path, json.dumps(document(release, images.values()), indent=1) + "\n")
    return path


def document(release: StoredRelease, images: Iterable[Component]) -> dict[str, Any]:
    """Return the whole document. The same release has the same serial number."""
    name = f"{release['stack']}/{release['project']}/{release['number']}"
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}",
        "version": 1,
        "metadata": {
            "timestamp": moment.text(),
            "component": {"type": "application", "name": release["project"], "version": str(release["number"])},
        },
        "components": list(images),
    }


def components(state: Path, identity: str, root: Callable[[], Path | None]) -> list[Component]:
    """Return what is in an image: as it was found once, for its content never changes."""
    digits = identity.rpartition(":")[2][:ID_DIGITS]
    path = state / MATERIALS / f"{digits}.json"
    if digits and path.is_file():
        return json.loads(path.read_text())
    where = root()
    found = inventory(where) if where else []
    if digits and found:
        state_modes.make(path.parent)
        write_file(path, json.dumps(found))
    return found


def inventory(root: Path) -> list[Component]:
    """Return every package of a root file system: of Debian, of Python, and each archive of Java."""
    return [*debian(root), *python(root), *java(root)]


def debian(root: Path) -> Iterator[Component]:
    """Read the packages that dpkg has installed."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', text(root, "usr/lib/os-release"), re.MULTILINE))
    for block in text(root, STATUS).split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Architecture|Status): (.*)$", block, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            name, version = fields["Package"], fields["Version"]
            source = f"pkg:deb/{release.get('ID', 'debian')}/{name}@{quote(version)}?arch={fields['Architecture']}"
            yield {"type": "library", "name": name, "version": version, "purl": source}


def python(root: Path) -> Iterator[Component]:
    """Read the packages that pip has installed."""
    for path in files(root, PYTHON, lambda name: name == "METADATA"):
        if path.parent.name.endswith(".dist-info"):
            head = text(root, str(path.relative_to(root))).partition("\n\n")[0]
            fields = dict(re.findall(r"^(Name|Version): (.*)$", head, re.MULTILINE))
            if {"Name", "Version"} <= fields.keys():
                name, version = fields["Name"], fields["Version"]
                source = f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{quote(version)}"
                yield {"type": "library", "name": name, "version": version, "purl": source}


def java(root: Path) -> Iterator[Component]:
    """Read the archives of Java, each with its hash: their names alone tell no origin."""
    for path in files(root, JARS, lambda name: name.endswith(".jar")):
        match = re.fullmatch(r"(.+?)-(\d[\w.+-]*)\.jar", path.name)
        content = read(root, str(path.relative_to(root)))
        if content:
            yield {
                "type": "library",
                "name": match[1] if match else path.stem,
                "version": match[2] if match else "",
                "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(content).hexdigest()}],
            }


def files(root: Path, below: Iterable[str], wanted: Callable[[str], bool]) -> Iterator[Path]:
    """Yield the files of these directories whose names are wanted, in order. Links to directories are passed by."""
    for one in below:
        if not is_plain(root, one):
            continue
        for directory, directories, names in os.walk(root / one):
            depth = len(Path(directory).relative_to(root / one).parts)
            directories[:] = sorted(directories) if depth < DEEPEST else []
            yield from (Path(directory) / name for name in sorted(names) if wanted(name))


def is_plain(root: Path, relative: str) -> bool:
    """Tell whether no part of a path is a link."""
    path = root
    for part in Path(relative).parts:
        path /= part
        if path.is_symlink():
            return False
    return path.exists()


def read(root: Path, relative: str) -> bytes:
    """Return the content of a file; empty where there is none, or where a link is on the way."""
    try:
        if is_plain(root, relative) and (root / relative).is_file() and (root / relative).stat().st_size <= LONGEST:
            return (root / relative).read_bytes()
    except OSError:
        pass
    return b""


def text(root: Path, relative: str) -> str:
    """Return the text of a file."""
    return read(root, relative).decode(errors="replace")


def forget(state_directory: str, releases: Iterable[StackRelease]) -> None:
    """Remove what is known of images that no kept release has.

    :param releases: every kept one of the stack
    """
    ids = {spec.get("image_id") or "" for one in releases for spec in one.containers.values()}
    known = {one.rpartition(":")[2][:ID_DIGITS] for one in ids}
    for path in (Path(state_directory) / MATERIALS).glob("*.json"):
        if path.stem not in known:
            path.unlink()
