"""Write a directory of files. Each file appears in one step: a running container may have the directory mounted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


def write_directory(directory: Path, files: dict[str, str], *, mode: int, owner: tuple[int, ...]) -> None:
    """Write a directory of files, each in one step: a running container may have the directory mounted."""
    for relative, content in files.items():
        path = directory / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.unlink(missing_ok=True)
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as stream:
            stream.write(content)
            os.fchown(descriptor, owner[0], owner[1])
            os.fchmod(descriptor, mode)
        fresh.replace(path)
    for path in [directory, *(one for one in directory.rglob("*") if one.is_dir())]:
        path.chmod(0o500 if mode == 0o400 else 0o755)
        os.chown(path, owner[0], owner[1])
