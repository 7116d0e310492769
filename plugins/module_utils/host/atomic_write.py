# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Files that appear in one step: whoever reads one sees the old text or the new text, never a part (rename(2))."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path


def write_file(
    path: Path, text: str, *, mode: int = 0o600, owner: tuple[int, ...] | None = None, durable: bool = False
) -> None:
    """Write a file in one step; its directory must exist.

    :param mode: permissions of the file
    :param owner: user id and group id; without it the file belongs to who runs this
    :param durable: write the file to the disk before it appears, so that a power cut leaves no empty file (fsync(2))
    :raises OSError: naming the file, which is as it was, and nothing else is left
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(text)
            if owner:
                os.fchown(descriptor, owner[0], owner[1])
            os.fchmod(descriptor, mode)
            if durable:
                stream.flush()
                os.fsync(descriptor)
        fresh.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            fresh.unlink()
        error.filename, error.filename2 = str(path), None  # a full disk names none (write(2))
        raise


def make_way(path: Path, top: Path) -> None:
    """Remove what is in the way of a file: a directory in its place, or anything else in place of its directories.

    :param top: below it, everything is written by the platform
    """
    for above in reversed(path.parents):
        if top in above.parents and (above.is_symlink() or (above.exists() and not above.is_dir())):
            above.unlink()
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def write_directory(
    directory: Path,
    files: dict[str, str],
    *,
    mode: int,
    owner: tuple[int, ...],
    reader: tuple[int, ...] | None = None,
    enter: int = 0o700,
) -> None:
    """Write a directory of files, each in one step: a running container may have the directory mounted.

    :param files: path below the directory -> text
    :param mode: permissions of each file
    :param owner: user id and group id of the files
    :param reader: user id and group id of the directories; without it those of the files
    :param enter: permissions of the directories
    """
    for relative, text in files.items():
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_file(path, text, mode=mode, owner=owner)
    for path in [directory, *(one for one in directory.rglob("*") if one.is_dir())]:
        path.chmod(enter)
        os.chown(path, *(reader or owner)[:2])
