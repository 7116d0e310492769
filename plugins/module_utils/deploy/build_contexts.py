# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The directories that images are built from: their files, a hash of these, and an archive that goes to the host."""

from __future__ import annotations

import fnmatch
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class ContextError(ValueError):
    """A build context is not complete."""


def is_ignored(path: str, patterns: Iterable[str]) -> bool:
    """Tell whether a pattern of .dockerignore names the path. Exceptions that begin with ``!`` are not supported.

    The Docker SDK can do this too. Its import would cost every run 0.2 s, and the controller would need it.
    """
    name = path.rpartition("/")[2]
    return any(
        fnmatch.fnmatchcase(name, pattern[3:]) if pattern.startswith("**/") else fnmatch.fnmatchcase(path, pattern)
        for pattern in patterns
    )


def context_files(directory: Path) -> dict[str, Path]:
    """Return the files of a build context by their path in it, without those that .dockerignore names.

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
        directories[:] = [name for name in directories if not is_ignored((above / name).as_posix(), patterns)]
        for name in files:
            path = (above / name).as_posix()
            if not is_ignored(path, patterns):
                found[path] = directory / path
    return dict(sorted(found.items()))


def context_hash(directory: Path) -> str:
    """Hash names, contents and execute permissions, which is all that a build can see of its context."""
    listing = [
        (name, bool(path.stat().st_mode & 0o100), hashlib.sha256(path.read_bytes()).hexdigest())
        for name, path in context_files(directory).items()
    ]
    return hashlib.sha256(json.dumps(listing).encode()).hexdigest()


def pack_contexts(collection: Path, contexts: Iterable[str]) -> bytes:
    """Return a tar archive of contexts, each below its path in the collection. The same files give the same bytes."""
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
