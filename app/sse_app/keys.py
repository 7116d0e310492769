"""The command that makes an API key: it prints the key once and keeps its hash in a file.

    python -m sse_app.keys keys.json orders-service --publish 'orders.*'

It needs nothing but Python's own library, so that it runs on any machine.
"""

import argparse
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TypedDict

from sse_app.access.api_keys import parse


class Entry(TypedDict):
    """What the file holds of a key."""

    name: str
    sha256: str
    publish: list[str]
    subscribe: list[str]


def make(name: str, publish: Sequence[str], subscribe: Sequence[str]) -> tuple[str, Entry]:
    """A new key and its entry; ValueError for a key that would allow nothing."""
    if not publish and not subscribe:
        raise ValueError("the key would allow nothing: give --publish PATTERN, --subscribe PATTERN or both")
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    return f"{name}.{secret}", Entry(name=name, sha256=digest, publish=[*publish], subscribe=[*subscribe])


def without(held: Sequence[Entry], name: str | None) -> list[Entry]:
    """The keys that are left; ValueError where none has this name."""
    left = [entry for entry in held if entry["name"] != name]
    if len(left) == len(held):
        known = ", ".join(sorted({entry["name"] for entry in held})) or "none"
        raise ValueError(f"it has no key of the name {name!r}; it has {known}. Nothing was changed")
    return left


def main(arguments: Sequence[str] | None = None, parser: argparse.ArgumentParser | None = None) -> int:
    """Add a key to a file and print it, or remove the keys of a name, or only check the file.

    :param parser: with the name and the words of whoever calls this, such as `./sse key`
    """
    parser = parser or argparse.ArgumentParser(prog="keys", description="Make an API key, and keep only its hash.")
    parser.add_argument("file", type=Path, help="the file of hashed keys (JSON); it is created where it is missing")
    parser.add_argument("name", nargs="?", help="the owner of the key: 1 to 64 of A-Z a-z 0-9 _ -")
    for right in ("publish", "subscribe"):
        parser.add_argument(f"--{right}", action="append", default=[], metavar="PATTERN", help="channel, prefix.* or *")
    parser.add_argument("--remove", action="store_true", help="remove every key of this name instead")
    options = parser.parse_args(arguments)
    try:
        held: list[Entry] = []
        if options.file.exists() or options.name is None:
            parse(text := options.file.read_bytes())
            held = json.loads(text)["keys"]
        if options.remove:
            _write(options.file, without(held, options.name))
        elif options.name is not None:
            key, entry = make(options.name, options.publish, options.subscribe)
            _write(options.file, [*held, entry])
            print(key)
    except (OSError, ValueError) as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return 1
    return 0


def _write(path: Path, entries: list[Entry]) -> None:
    """Replace the file in one step, because a service may read it at any time; ValueError where parse() refuses it."""
    text = json.dumps({"keys": entries}, indent=1) + "\n"
    parse(text.encode())
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a command that was killed, or somebody's link
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
    fresh.replace(path)


if __name__ == "__main__":
    sys.exit(main())
