"""API keys: a file of their hashes, what each one allows, and the command that makes one.

    python -m sse_app.keys keys.json orders-service --publish 'orders.*'

A key is NAME.SECRET. The secret has 256 random bits, so that a plain SHA-256 of it guards it as well as a slow hash
would. A name may have several keys: add the new one, move the clients, remove the old one. Needs nothing but Python's
own library, so that it runs on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import os
import re
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from sse_app import channels, watched
from sse_app.principal import Principal

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
    for index, entry in enumerate(watched.entries(text, _MOST, '{"keys": [...]}')):
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


def make(name: str, publish: Sequence[str], subscribe: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """A new key, and what a file holds of it; ValueError for one that would allow nothing."""
    if not publish and not subscribe:
        raise ValueError("give --publish PATTERN, --subscribe PATTERN or both: the key would allow nothing")
    secret = secrets.token_urlsafe(32)
    entry = {"name": name, "sha256": hashlib.sha256(secret.encode()).hexdigest()}
    return f"{name}.{secret}", {**entry, "publish": list(publish), "subscribe": list(subscribe)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Add a key to a file and print it, this once; or remove a name's keys, or only check the file."""
    parser = argparse.ArgumentParser(prog="keys", description="Make an API key: print it once, keep its hash.")
    parser.add_argument("file", type=Path, help="file of hashed keys (JSON); made where there is none")
    parser.add_argument("name", nargs="?", help="whose key: 1 to 64 of A-Z a-z 0-9 _ -")
    parser.add_argument("--publish", action="append", default=[], metavar="PATTERN", help="channel, prefix.* or *")
    parser.add_argument("--subscribe", action="append", default=[], metavar="PATTERN", help="channel, prefix.* or *")
    parser.add_argument("--remove", action="store_true", help="remove every key of this name instead")
    options = parser.parse_args(arguments)
    try:
        held: list[dict[str, Any]] = []
        if options.file.exists() or options.name is None:
            parse(text := options.file.read_bytes())
            held = json.loads(text)["keys"]
        if options.remove:
            _write(options.file, [entry for entry in held if entry["name"] != options.name])
        elif options.name is not None:
            key, entry = make(options.name, options.publish, options.subscribe)
            _write(options.file, [*held, entry])
            print(key)
    except (OSError, ValueError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    return 0


def _write(path: Path, entries: list[dict[str, Any]]) -> None:
    """In one step, since a service may read the file at any moment; ValueError for what parse() would not accept."""
    text = json.dumps({"keys": entries}, indent=1) + "\n"
    parse(text.encode())
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
