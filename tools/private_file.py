"""Files that a tool makes: they are new, only their owner may read them, and a link in their place is not followed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

# open(2): O_EXCL fails where something of this name is there, also a link that leads nowhere.
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


def create(path: Path) -> BinaryIO:
    """Make a file that was not there, for writing; end the tool where something of this name is there."""
    try:
        return os.fdopen(os.open(path, FLAGS, 0o600), "wb")
    except FileExistsError:
        raise SystemExit(
            f"sse: {path} exists, and is not overwritten: remove it, or give another file. Nothing was written."
        ) from None
    except OSError as error:
        raise SystemExit(f"sse: {path} could not be made: {error.strerror}") from None


def replace(path: Path, text: str) -> None:
    """Write a file in one step, also in the place of an earlier one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    with create(fresh) as stream:
        stream.write(text.encode())
    fresh.replace(path)
