"""Event ids: `<offset>-<fingerprint>`, which say of themselves whether they still name the same record of the log.

Clients do not look into an id. It is made and parsed in this file alone.
"""

import hashlib
import re
from typing import NamedTuple, Self

# Anything after "~" is reserved for the positions in further partitions, and ignored today.
PATTERN = r"(0|[1-9][0-9]{0,18})-([0-9a-f]{8})(?:~[0-9a-f,.-]{0,200})?"
_ID = re.compile(PATTERN)
_OFFSET_LIMIT = 2**63  # Kafka's offsets are signed 64-bit integers


class Cursor(NamedTuple):
    """One record of the log. After the log has lost its end, another record at the same offset is another cursor."""

    offset: int
    fingerprint: str

    def __str__(self) -> str:
        return f"{self.offset}-{self.fingerprint}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """The cursor that a client sent; None for text that is not an id of this service."""
        match = _ID.fullmatch(text)
        if match is None or int(match[1]) >= _OFFSET_LIMIT:
            return None
        return cls(int(match[1]), match[2])


def fingerprint(key: bytes) -> str:
    """Eight hexadecimal digits of the unique key of a record."""
    return hashlib.blake2b(key, digest_size=4).hexdigest()
