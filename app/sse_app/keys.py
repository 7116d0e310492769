"""The command that makes an API key: it prints the key once and keeps its hash in a file.

    python -m sse_app.keys keys.json orders-service --publish 'orders.*'

It needs nothing but Python's own library, so that it runs on any machine.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sse_app.access.api_keys import parse


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
