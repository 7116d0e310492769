# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a backup says of the data in it, read from its archive before anything of it is placed."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.host.machine import properties
from ansible_collections.sse.platform.plugins.module_utils.model.release import FORMAT
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import parse

if TYPE_CHECKING:
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_share import Manifest
    from ansible_collections.sse.platform.plugins.module_utils.model.types import KeptData, StoredRelease
    from ansible_collections.sse.platform.plugins.module_utils.preflight.existing_data import BackupData

MARKER = re.compile(r"data/([^/]+/[^/]+)/meta\.properties")


def backup_data(archive: Path, manifest: Manifest) -> BackupData:
    """Return what the archive of a backup says of its data.

    :raises BackupError: a later version of this collection wrote its releases, or a release in it is damaged
    :raises OSError, tarfile.TarError: the archive cannot be read
    """
    releases = {f"releases/{project}/{number:04d}.json" for project, number in manifest["numbers"].items()}
    markers = {name for name in manifest["files"] if MARKER.fullmatch(name)}
    texts = read(archive, (releases & manifest["files"].keys()) | markers)
    kept: list[KeptData] = []
    for name in sorted(releases & texts.keys()):
        kept += kept_data(name, texts[name], manifest)
    return {
        "markers": {name.split("/", 1)[1].rsplit("/", 1)[0]: properties(texts[name]) for name in markers},
        "kept": kept,
    }


def read(archive: Path, names: set[str]) -> dict[str, str]:
    """Return the texts of these files of an archive. It is read no further than to the last of them."""
    texts: dict[str, str] = {}
    with tarfile.open(archive, "r:gz") as packed:
        for entry in packed:
            if entry.name in names and (content := packed.extractfile(entry)) is not None:
                texts[entry.name] = content.read().decode(errors="replace")
            if len(texts) == len(names):
                break
    if absent := sorted(names - texts.keys()):
        raise BackupError(f"the archive lacks {absent[0]}, which its manifest names: take another backup")
    return texts


def kept_data(name: str, text: str, manifest: Manifest) -> list[KeptData]:
    """Return what a release of the backup says of the format of its data, with the short names of containers."""
    try:
        release: StoredRelease = parse(text)
        found = release["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise BackupError(f"{name} in the backup is no release ({error}): take another backup") from error
    if found > FORMAT:
        raise BackupError(
            f"{name} in the backup has format {found}, and this version reads formats up to {FORMAT}: restore it with "
            "the version of the collection that wrote it, or with a later one"
        )
    short = {full: one for one, full in manifest["containers"].items()}
    return [{**one, "container": short.get(one["container"], one["container"])} for one in release.get("data", [])]
