# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The directories that images are built from: their files, a hash of these, and an archive that goes to the host."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import re
import tarfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# A line FROM of a Dockerfile, with the lines that continue it (Dockerfile reference, FROM).
FROM = re.compile(rb"(?<!\\\n)^[ \t]*FROM[ \t](?:[^\n]*\\\n)*[^\n]*\n?", re.IGNORECASE | re.MULTILINE)
BROUGHT = ".context"
STAGE = b"LABEL sse.platform.stage=true\n"
BUILDER = b"ARG SSE_PLATFORM_IMAGE\nLABEL sse.platform.builder=${SSE_PLATFORM_IMAGE}\n"


class ContextError(ValueError):
    """A build context is not complete."""


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether .dockerignore leaves a path out: the last line that names it or a directory above it decides.

    A line that begins with ``!`` takes it in again. The Docker SDK can do this too. Its import would cost every run
    0.2 s, and the controller would need it.
    """
    ignored = False
    above = [path, *(parent.as_posix() for parent in PurePosixPath(path).parents)][:-1]
    for line in patterns:
        pattern = line.removeprefix("!").removeprefix("./").lstrip("/")
        anywhere = pattern.removeprefix("**/")
        if any(fnmatch.fnmatchcase(one.rpartition("/")[2] if anywhere != pattern else one, anywhere) for one in above):
            ignored = not line.startswith("!")
    return ignored


def context_files(directory: Path) -> dict[str, Path]:
    """Return the files of a build context by their path in it, without those that .dockerignore names.

    A file ``.context`` brings directories that stand elsewhere in the collection: each line is the name that one has in
    the context, and where it is, seen from here. A link would do the same, but some clones make a text of it.

    :raises ContextError: the directory has no Dockerfile
    """
    if not (directory / "Dockerfile").is_file():
        raise ContextError(f"{directory} has no Dockerfile, so the collection is not complete: get it again")
    listing = directory / ".dockerignore"
    lines = listing.read_text().splitlines() if listing.is_file() else []
    patterns = [line.strip().rstrip("/") for line in lines if line.strip() and not line.startswith("#")]
    found: dict[str, Path] = {}
    for parent, directories, files in os.walk(directory):
        above = Path(parent).relative_to(directory)
        # Ignored directories are not entered: node_modules has thousands of files.
        if not any(pattern.startswith("!") for pattern in patterns):
            directories[:] = [name for name in directories if not is_ignored((above / name).as_posix(), patterns)]
        links = [name for name in directories if (Path(parent) / name).is_symlink()]
        for name in [*files, *links]:
            path = (above / name).as_posix()
            if path == "Dockerfile" or not is_ignored(path, patterns):
                found[path] = directory / path
    if (directory / BROUGHT).is_file():
        for name, place in map(str.split, (directory / BROUGHT).read_text().splitlines()):
            found |= {
                path: file
                for below, file in regular_files(directory / place).items()
                if not is_ignored(path := f"{name}/{below}", patterns)
            }
    return dict(sorted(found.items()))


def regular_files(directory: Path) -> dict[str, Path]:
    """Return the files of a directory by their path in it."""
    found = {path.relative_to(directory).as_posix(): path for path in directory.rglob("*") if path.is_file()}
    if not found:
        raise ContextError(f"{directory} is empty, so the collection is not complete: get it again")
    return found


def context_hash(directory: Path) -> str:
    """Hash names, contents and execute permissions, which is all that a build can see of its context."""
    listing = [
        (name, "link", str(path.readlink()))
        if path.is_symlink()
        else (name, bool(path.stat().st_mode & 0o100), hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in context_files(directory).items()
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def with_labels(dockerfile: bytes) -> bytes:
    """Give each stage a label, so that what a failed build leaves can be found and removed.

    Each stage but the last one also gets the reference of the image that it is for. It stands at the end of the stage,
    because a changed label makes the engine run all later steps again.
    """
    text, end = b"", 0
    for number, one in enumerate(FROM.finditer(dockerfile)):
        text += dockerfile[end : one.start()] + BUILDER * (number > 0) + one.group().rstrip(b"\n") + b"\n" + STAGE
        end = one.end()
    return text + dockerfile[end:]


def pack_contexts(collection: Path, contexts: Iterable[str]) -> bytes:
    """Return a tar archive of contexts, each below its path in the collection, or below its absolute one.

    The same files give the same bytes.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for context in sorted(set(contexts)):
            files = context_files(collection / context)
            for name in sorted({str(one) for path in files for one in PurePosixPath(path).parents}):
                # With a mode of its own: else the umask of the host decides who may enter a directory of the image.
                directory = tarfile.TarInfo(str(PurePosixPath(context, name)).lstrip("/"))
                directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(directory)
            for name, path in files.items():
                member = tarfile.TarInfo(f"{context}/{name}".lstrip("/"))
                if path.is_symlink():
                    member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
                    archive.addfile(member)
                    continue
                content = path.read_bytes()
                if name == "Dockerfile":
                    content = with_labels(content)
                member.size = len(content)
                member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
                archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
