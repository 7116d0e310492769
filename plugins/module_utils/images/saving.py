# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Images of this host's engine in one file."""

from __future__ import annotations

import subprocess
import tempfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def save(references: list[str], path: Path) -> str:
    """Write images to a file; return the reason where that fails, empty otherwise.

    :raises OSError: a program is missing, or the file can't be written
    """
    docker = ["docker", "-H", "unix:///var/run/docker.sock", "save", *references]
    with path.open("wb") as file, tempfile.TemporaryFile() as said:
        saving = subprocess.Popen(docker, stdout=subprocess.PIPE, stderr=said)
        # One is fast, and every engine reads it.
        packing = subprocess.Popen(["gzip", "-1"], stdin=saving.stdout, stdout=file, stderr=said)
        if saving.stdout:
            saving.stdout.close()
        codes = (packing.wait(), saving.wait())
        said.seek(0)
        return said.read().decode(errors="replace").strip() or f"exit codes {codes}" if any(codes) else ""
