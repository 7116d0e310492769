# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What goes wrong while a plan is carried out."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator

ROOM = "Make room (df -h; df -i)"
IN_THE_WAY = "Something else is in its place: move it away"
# What helps, by why the kernel refuses a file (errno(3)).
WAYS = {
    errno.ENOSPC: ROOM,
    errno.EDQUOT: ROOM,
    errno.EROFS: "Its file system is read-only: dmesg says why. Mend that",
    errno.EIO: "Its disk has a fault: dmesg says which. Mend that",
    errno.EPERM: "It or its directory may be immutable: lsattr -d shows an i then, and chattr -i ends that. Do so",
    **dict.fromkeys((errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ELOOP), IN_THE_WAY),
}


class ApplyError(RuntimeError):
    """A container failed. The message says which one, what it failed at, and what it wrote last."""


def file_refused(error: OSError) -> str:
    """Say which file the kernel refuses, why, and what to do."""
    number = error.errno or 0  # those of the resolver are below zero, and none of the kernel's
    why = error.strerror or (os.strerror(number) if number > 0 else str(error))
    what = f"{error.filename} can't be read or written" if error.filename else "The kernel refuses what this run needs"
    return f"{what}: {why}. {WAYS.get(error.errno or 0, 'Mend that')}, and run `./sse up` again."


@contextlib.contextmanager
def files_told() -> Generator[None]:
    """Raise ApplyError where the kernel refuses a file."""
    try:
        yield
    except OSError as error:
        raise ApplyError(file_refused(error)) from error
