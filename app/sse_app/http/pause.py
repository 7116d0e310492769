"""Whether the operator has paused publishing: a file says so, and all replicas of a host look at the same one.

A file, and no key in Redis: one `stat` takes a microsecond, so each publish can look, and a pause counts from the next
request on at every replica, also at one that starts later, and also while Redis, Kafka or the engine is down.
"""

import hashlib
import hmac
import json
import logging
import os
from pathlib import Path

from sse_app.base.asgi import Scope, header_values
from sse_app.base.json_value import Json
from sse_app.base.problem import Problem

RETRY_SECONDS = 5
# Whoever may read the operator's directory on the host may publish meanwhile: that is how a stack is verified.
HEADER = b"sse-operator"
logger = logging.getLogger(__name__)
Stamp = tuple[int, int]


class Pause:
    """The file by which publishing is paused; while it is there, it is."""

    def __init__(self, path: str) -> None:
        """Look for the first time; without a path publishing is never paused."""
        self._path = path
        self._seen: Stamp | None = None
        self._since = self._pass = ""
        self._look()

    @property
    def active(self) -> bool:
        """Whether publishing is paused now."""
        self._look()
        return self._seen is not None

    def refuse(self, scope: Scope) -> None:
        """Raise Problem 503 while publishing is paused, unless the request is the operator's own."""
        if self._path and self.active and not self._is_operator(scope):
            since = f" since {self._since}" if self._since else ""
            detail = f"publishing is paused{since}: nothing was stored; repeat the request with the same key later"
            raise Problem(503, detail, {"retry-after": str(RETRY_SECONDS)})

    def _is_operator(self, scope: Scope) -> bool:
        given = header_values(scope, HEADER)
        return bool(given and self._pass) and hmac.compare_digest(hashlib.sha256(given[0]).hexdigest(), self._pass)

    def _look(self) -> None:
        if not self._path:
            return
        try:
            found = os.stat(self._path)  # noqa: PTH116 - before every publish: it takes half the time of Path's
            stamp: Stamp | None = (found.st_mtime_ns, found.st_ino)
        except FileNotFoundError:
            stamp = None
        except OSError:
            return  # what was known stays in force
        if stamp == self._seen:
            return
        if (stamp is None) != (self._seen is None):
            logger.warning("publishing is %s", "paused" if stamp else "no longer paused")
        self._seen = stamp
        self._since = self._pass = ""
        if stamp:
            self._read()

    def _read(self) -> None:
        """Take note of what the file says; that it is there is enough for a pause."""
        try:
            said: Json = json.loads(Path(self._path).read_bytes()[:65_536])
        except (OSError, ValueError):
            return
        if isinstance(said, dict):
            self._since, self._pass = str(said.get("since", "")), str(said.get("pass", ""))
