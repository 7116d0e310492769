"""Try every inner door of the platform without a credential, and print what opened as a JSON list: TARGETS.

TARGETS is JSON: {"kafka": [[address, port]], "redis": [[address, port]], "api": [[address, port]], "files": directory}.
It runs as `nobody` on the host, and in a container of somebody else; it needs only Python.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress

SECONDS = 3.0
MAY_READ = "matrix"  # the node exporter reads it: which connections were measured, and no event


def answer(address: str, port: int, request: bytes) -> bytes:
    """Return what comes back for a request; nothing where nobody answers."""
    with suppress(OSError), socket.create_connection((address, port), SECONDS) as one:
        one.settimeout(SECONDS)
        one.sendall(request)
        return one.recv(4096)
    return b""


def kafka(address: str, port: int) -> Iterator[str]:
    """Ask for all topics (Metadata, version 1), as any client does first. Kafka closes it where a login is due."""
    client = b"nobody"
    request = struct.pack(">hhih", 3, 1, 7, len(client)) + client + struct.pack(">i", -1)
    if answer(address, port, struct.pack(">i", len(request)) + request):
        yield f"Kafka tells its topics at {address}:{port}"


def redis(address: str, port: int) -> Iterator[str]:
    """Ask Redis for its keys."""
    told = answer(address, port, b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n")
    if told and not told.startswith((b"-NOAUTH", b"-DENIED")):
        yield f"Redis answers {told[:40]!r} at {address}:{port}"


def api(address: str, port: int) -> Iterator[str]:
    """Publish, and subscribe, at a replica itself."""
    event = b'{"channel":"mol.forged","data":1}'
    head = b"Host: app\r\nConnection: close\r\nContent-Type: application/json\r\n"
    publish = b"POST /api/v1/events HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" % (head, len(event), event)
    stream = b"GET /api/v1/stream?channel=* HTTP/1.1\r\n%s\r\n" % head
    for what, request in (("a publish", publish), ("a stream", stream)):
        told = answer(address, port, request).partition(b"\r\n")[0]
        if told and told.split()[1] not in {b"401", b"403", b"404", b"421", b"426"}:
            yield f"{what} gets {told.decode()} at {address}:{port}"


def files(directory: str) -> Iterator[str]:
    """Look for files that this user can read, or directories that it can list."""
    try:
        entries = list(os.scandir(directory))
    except OSError:
        for name in ("secrets", "releases", "data", "backups"):  # known names need no list
            path = f"{directory}/{name}"
            if os.access(path, os.R_OK):
                yield f"{path} can be listed"
        return
    yield f"{directory} can be listed"
    for one in entries:
        if one.is_dir(follow_symlinks=False) and one.name != MAY_READ:
            yield from files(one.path)
        elif one.is_file() and os.access(one.path, os.R_OK):
            yield f"{one.path} can be read"


def main() -> None:
    """Try all, and print what opened."""
    targets = json.loads(sys.argv[1])
    found = [what for try_ in (kafka, redis, api) for where in targets.get(try_.__name__, []) for what in try_(*where)]
    found += files(targets["files"]) if "files" in targets else []
    with suppress(OSError), socket.socket(socket.AF_UNIX) as one:
        one.connect("/var/run/docker.sock")
        found.append("the engine's socket can be opened")
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
