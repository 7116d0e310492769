"""Ids that prove themselves: `<offset>-<fingerprint>`, opaque to clients, made and parsed here alone."""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

# Anything after "~" is kept for the positions of further partitions and ignored today.
_ID = re.compile(r"(0|[1-9][0-9]{0,18})-([0-9a-f]{8})(?:~[0-9a-f,.-]{0,200})?")
_OFFSET_LIMIT = 2**63  # Kafka's offsets are signed 64-bit integers


class Cursor(NamedTuple):
    """One record of one history of the log."""

    offset: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.offset}-{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> Cursor | None:
        """The cursor a client sent, or None when it is none of ours."""
        match = _ID.fullmatch(text)
        if match is None or int(match[1]) >= _OFFSET_LIMIT:
            return None
        return cls(int(match[1]), match[2])


def fingerprint(key: bytes) -> str:
    """Eight hex digits of a record's own unique key."""
    return hashlib.blake2b(key, digest_size=4).hexdigest()
