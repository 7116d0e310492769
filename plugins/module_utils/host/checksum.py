# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The checksum of a file of any size; hashlib.file_digest does it only since Python 3.11."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import IO

BLOCK = 1 << 20  # bytes read at once


def digest_of(stream: IO[bytes]) -> str:
    """Return the SHA-256 of what is left of a file, as hexadecimal digits."""
    found = hashlib.sha256()
    while block := stream.read(BLOCK):
        found.update(block)
    return found.hexdigest()
