"""A file that may change while the service runs: its last valid content stays in force.

A file of credentials that is deleted has none, so that they are revoked. It is never absent while it is replaced: the
new file takes its name in one step (rename).
"""

import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from sse_app.base.json_value import Json, no_duplicates

T = TypeVar("T")
_MOST_BYTES = 8 * 2**20  # read at once on the event loop: about 10 ms to parse
logger = logging.getLogger(__name__)


class WatchedFile(Generic[T]):
    """One file, and what its parser made of it."""

    def __init__(self, path: str, parse: Callable[[bytes], T], absent: T | None = None) -> None:
        """Read it for the first time; OSError or ValueError when that fails.

        :param absent: what an absent file means later on; None: its previous content stays in force
        """
        self.path = path
        self._parse = parse
        self._absent = absent
        self._seen = _stamp(path)
        self.value = parse(content(path))
        self.error: str = ""

    def changed(self) -> bool:
        """Read the file again if it has changed; return whether `value` changed. Never raises: see `error`."""
        try:
            stamp = _stamp(self.path)
            if stamp == self._seen:
                return False
            self._seen = stamp
            value = self._parse(content(self.path))
        except (OSError, ValueError) as error:
            if isinstance(error, OSError):
                self._seen = None  # try again; invalid content is not read again before it changes
            if isinstance(error, FileNotFoundError) and self._absent is not None:
                return self._revoke(self._absent)
            message = str(error)
            if message != self.error:
                logger.warning("%s is refused, and its previous content stays in force: %s", self.path, message)
            self.error = message
            return False
        self.value, self.error = value, ""
        logger.info("%s has changed and was read again", self.path)
        return True

    def _revoke(self, absent: T) -> bool:
        message = "the file is gone, so its credentials are revoked"
        if message == self.error:
            return False
        logger.warning("%s: %s", self.path, message)
        self.value, self.error = absent, message
        return True


def _stamp(path: str) -> tuple[int, int, int] | None:
    found = os.stat(path)  # noqa: PTH116 - before every request: it takes half the time of Path's
    return found.st_mtime_ns, found.st_size, found.st_ino


def content(path: str) -> bytes:
    """What a file holds; ValueError where that is too much."""
    with Path(path).open("rb") as stream:
        found = stream.read(_MOST_BYTES + 1)
    if len(found) > _MOST_BYTES:
        raise ValueError(f"expected at most {_MOST_BYTES} bytes")
    return found


def entries(text: bytes, most: int, expected: str) -> list[Json]:
    """The list under `keys` of a JSON object; ValueError says what was `expected`, and never shows a value."""
    try:
        document: Json = json.loads(text, object_pairs_hook=no_duplicates)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("the file is not JSON") from None
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list) or len(listed) > most:
        raise ValueError(f"expected {expected} with at most {most} keys")
    return listed


def lines(text: bytes, shortest: int) -> list[bytes]:
    """Secrets, one a line, the newest first. The first signs and all of them verify, so that they can be rotated."""
    found = [line.strip() for line in text.splitlines() if line.strip()]
    if not found or any(len(line) < shortest for line in found):
        raise ValueError(f"expected secrets of at least {shortest} bytes, one a line")
    if found[0].startswith(b"-----BEGIN"):
        raise ValueError("expected secrets, not a PEM file")
    return found
