"""API keys: the file of their hashes, and what each key allows.

A key is NAME.SECRET. The secret has 256 random bits, so that a plain SHA-256 guards it as well as a slow hash would. A
name may have several keys: add the new one, move the clients, remove the old one. The command of sse_app/keys.py uses
this file on machines that have nothing but Python's own library.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from typing import NamedTuple

from sse_app.access import watched_file
from sse_app.access.principal import Principal
from sse_app.base import channels
from sse_app.base.json_value import Json

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"name", "sha256", "publish", "subscribe"}
_MOST = 10_000  # keys; a presented key is compared only with those of its own name
_MOST_PATTERNS = 100  # as many channels as one stream may ask for


class ApiKey(NamedTuple):
    """One entry of the file."""

    name: str
    sha256: str
    principal: Principal


class KeyRing:
    """The keys of one or more files."""

    def __init__(self, keys: Sequence[ApiKey]) -> None:
        self._by_name: dict[str, list[tuple[bytes, Principal]]] = {}
        for name, sha256, principal in keys:
            self._by_name.setdefault(name, []).append((bytes.fromhex(sha256), principal))
        self._by_source = {principal.source: principal for _, _, principal in keys}

    def find(self, presented: str) -> Principal | None:
        """The owner of a key. The name is no secret; the secret is compared in constant time."""
        name, _, secret = presented.partition(".")
        digest = hashlib.sha256(secret.encode()).digest()
        found = None
        for known, principal in self._by_name.get(name, ()):
            if hmac.compare_digest(known, digest):
                found = principal
        return found

    def current(self, source: str) -> Principal | None:
        """The principal of a key that was accepted before, with its present rights; None once it is revoked."""
        return self._by_source.get(source)


def parse(text: bytes) -> list[ApiKey]:
    """The keys of a file; ValueError says where something is wrong and what was expected, and never shows a value."""
    found: dict[str, ApiKey] = {}
    for index, entry in enumerate(watched_file.entries(text, _MOST, '{"keys": [...]}')):
        try:
            key = _entry(entry)
        except ValueError as error:
            raise ValueError(f"keys[{index}]{error}") from None
        if key.principal.source in found:
            raise ValueError(f"keys[{index}]: the same key twice")
        found[key.principal.source] = key
    return list(found.values())


def _entry(entry: Json) -> ApiKey:
    fields = entry if isinstance(entry, dict) else {}
    if not {"name", "sha256"} <= set(fields) <= _FIELDS:
        raise ValueError(": expected name, sha256, and publish, subscribe or both")
    name, sha256 = fields["name"], fields["sha256"]
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(".name: expected 1 to 64 of A-Z a-z 0-9 _ -")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError(".sha256: expected 64 hexadecimal digits in lower case")
    publish, subscribe = (patterns(fields.get(right, []), f".{right}") for right in ("publish", "subscribe"))
    return ApiKey(name, sha256, Principal(f"key:{name}", publish, subscribe, f"key:{name}:{sha256[:32]}"))


def patterns(value: Json, where: str) -> channels.Filter:
    """A list of channel patterns; ValueError for anything else."""
    listed = value if isinstance(value, list) else [None]
    names = [one for one in listed if isinstance(one, str)]
    if len(listed) > _MOST_PATTERNS or len(names) < len(listed):
        raise ValueError(f"{where}: expected a list of at most {_MOST_PATTERNS} channels, prefix.* or *")
    try:
        return channels.parse(names)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
