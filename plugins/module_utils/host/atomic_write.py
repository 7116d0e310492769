# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Files that appear in one step: whoever reads one sees the old text or the new text, never a part (rename(2))."""

from __future__ import annotations

import os
from pathlib import Path


def write_file(
    path: Path, text: str, *, mode: int = 0o600, owner: tuple[int, ...] | None = None, durable: bool = False
) -> None:
    """Write a file in one step; its directory must exist.

    :param mode: permissions of the file
    :param owner: user id and group id; without it the file belongs to who runs this
    :param durable: write the file to the disk before it appears, so that a power cut leaves no empty file (fsync(2))
    """
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        if owner:
            os.fchown(descriptor, owner[0], owner[1])
        os.fchmod(descriptor, mode)
        if durable:
            stream.flush()
            os.fsync(descriptor)
    fresh.replace(path)


def write_directory(directory: Path, files: dict[str, str], *, mode: int, owner: tuple[int, ...]) -> None:
    """Write a directory of files, each in one step: a running container may have the directory mounted.

    :param files: path below the directory -> text
    :param mode: permissions of each file; where only the owner may read them, only the owner may enter the directory
    :param owner: user id and group id of the files and directories
    """
    for relative, text in files.items():
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text, mode=mode, owner=owner)
    for path in [directory, *(one for one in directory.rglob("*") if one.is_dir())]:
        path.chmod(0o500 if mode == 0o400 else 0o755)
        os.chown(path, owner[0], owner[1])
