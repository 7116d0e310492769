"""API keys: a file of their hashes, what each one allows, and the command that makes one.

    python -m sse_app.keys keys.json orders-service --publish 'orders.*'

A key is NAME.SECRET. The secret has 256 random bits, so that a plain SHA-256 of it guards it as well as a slow hash
would. A name may have several keys: add the new one, move the clients, remove the old one. Needs nothing but Python's
own library, so that it runs on any machine.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import Any, cast

from sse_app.access import watched_file
from sse_app.access.principal import Principal
from sse_app.base import channels

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "sha256", "publish", "subscribe"}
_MOST = 10_000  # keys; each is compared with nothing but those of its own name
_MOST_PATTERNS = 100  # as many channels as one stream may ask for


class KeyRing:
    """The keys of one or more files."""

    def __init__(self, keys: Sequence[tuple[str, str, Principal]]) -> None:
        self._by_name: dict[str, list[tuple[bytes, Principal]]] = {}
        for name, sha256, principal in keys:
            self._by_name.setdefault(name, []).append((bytes.fromhex(sha256), principal))
        self._by_source = {principal.source: principal for _, _, principal in keys}

    def find(self, presented: str) -> Principal | None:
        """Whose key this is. The name is no secret; the secret is compared in constant time."""
        name, _, secret = presented.partition(".")
        digest = hashlib.sha256(secret.encode()).digest()
        found = None
        for known, principal in self._by_name.get(name, ()):
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def current(self, source: str) -> Principal | None:
        """The principal of a key that was accepted before, with its rights of today; None once it is revoked."""
        return self._by_source.get(source)


def parse(text: bytes) -> list[tuple[str, str, Principal]]:
    """The keys of a file; ValueError names the place and what is accepted there, and never shows a value."""
    found: dict[str, tuple[str, str, Principal]] = {}
    for index, entry in enumerate(watched_file.entries(text, _MOST, '{"keys": [...]}')):
        try:
            key = _entry(entry)
        except ValueError as error:
            raise ValueError(f"keys[{index}]{error}") from None
        if key[2].source in found:
            raise ValueError(f"keys[{index}]: the same key twice")
        found[key[2].source] = key
    return list(found.values())


def _entry(entry: Any) -> tuple[str, str, Principal]:
    fields = cast("dict[str, Any]", entry) if isinstance(entry, dict) else {}
    if not {"name", "sha256"} <= set(fields) <= _FIELDS:
        raise ValueError(": expected name, sha256, and publish, subscribe or both")
    name, sha256 = fields["name"], fields["sha256"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(".name: expected 1 to 64 of A-Z a-z 0-9 _ -")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(".sha256: expected 64 hexadecimal digits in lower case")
    rights = [patterns(fields.get(right, []), f".{right}") for right in ("publish", "subscribe")]
    return name, sha256, Principal(f"key:{name}", rights[0], rights[1], f"key:{name}:{sha256[:32]}")


def patterns(value: Any, where: str) -> channels.Filter:
    """A list of channel patterns; ValueError for anything else."""
    listed: list[Any] = cast("list[Any]", value) if isinstance(value, list) else [None]
    if len(listed) > _MOST_PATTERNS or not all(isinstance(one, str) for one in listed):
        raise ValueError(f"{where}: expected a list of at most {_MOST_PATTERNS} channels, prefix.* or *")
    try:
        return channels.parse(listed)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
