# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Some images of an archive that `docker save` wrote, as an archive of their own: a host gets only those that it lacks.

This runs on the controller.
"""

from __future__ import annotations

import io
import json
import posixpath
import tarfile
from typing import TYPE_CHECKING, BinaryIO

from ansible_collections.sse.platform.plugins.module_utils.images.steps import BROKEN, ImagesError

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

MANIFEST = "manifest.json"  # the list of images that every engine reads, beside one that only newer ones write
LEVEL = 1  # of gzip: the way to a host is mostly faster than a better one


def extract(archive: Path, references: Collection[str], target: BinaryIO) -> bool:
    """Write an archive of these images; tell whether others were left out, and write nothing where none was.

    :raises ImagesError: the archive has not all of them, or is none
    """
    try:
        with tarfile.open(archive) as source:
            manifest = source.extractfile(MANIFEST)
            entries: list[Json] = json.load(manifest) if manifest else []
            kept: list[Json] = [{**one, "RepoTags": tags} for one in entries if (tags := _tags(one, references))]
            absent = sorted(set(references) - {tag for one in kept for tag in one["RepoTags"]})
            if absent:
                raise ImagesError(f"{archive} lacks {', '.join(absent)}: expected an archive that `docker save` wrote")
            if all(set(one["RepoTags"] or ()) <= set(references) for one in entries):
                return False
            wanted: set[str] = {name for one in kept for name in (one["Config"], *one["Layers"])}
            members = {one.name: one for one in source.getmembers()}
            for name in sorted(wanted):
                if name in members and members[name].issym():  # engines before 25 have each layer once
                    wanted.add(posixpath.normpath(posixpath.join(posixpath.dirname(name), members[name].linkname)))
            with tarfile.open(fileobj=target, mode="w:gz", compresslevel=LEVEL) as part:
                content = json.dumps(kept).encode()
                told = tarfile.TarInfo(MANIFEST)
                told.size = len(content)
                part.addfile(told, io.BytesIO(content))
                for one in members.values():  # in the order in which they are in the archive, so that it is read once
                    if one.name in wanted:
                        part.addfile(one, source.extractfile(one) if one.isfile() else None)
            return True
    except BROKEN as error:
        if isinstance(error, ImagesError):
            raise
        if isinstance(error, OSError) and error.errno:  # of the disk, such as that it is full; gzip gives none
            raise ImagesError(f"the images of {archive} that a host lacks could not be taken out: {error}") from error
        raise ImagesError(f"{archive} is no archive of images ({error}): expected one of `docker save`") from error


def _tags(entry: Json, references: Collection[str]) -> list[str]:
    return [tag for tag in entry.get("RepoTags") or () if tag in references]
