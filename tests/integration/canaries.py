"""The secrets of a stack as bytes to look for, and what processes of this machine show while something runs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases

if TYPE_CHECKING:
    from ansible_collections.sse.platform.tests.integration.stack import Stack

PUBLIC = ("certificate", "uuid-base64")  # kinds of what is kept with the secrets and is none
PAUSE = 0.05  # seconds between two looks at the processes


def needles(stack: Stack) -> dict[str, bytes]:
    """Return what must not be found, by the name of the secret: of a key in PEM, its first line of figures."""
    declared = {
        name: one for each in newest_releases(str(stack.state)) for name, one in each.get("secrets", {}).items()
    }
    found: dict[str, bytes] = {}
    for name, one in declared.items():
        path = stack.state / "secrets" / name
        if one["kind"] not in PUBLIC and path.exists():
            lines = [line for line in path.read_text().split() if not line.startswith("-----") and len(line) > 11]
            found |= {f"{name} {number}": line.encode() for number, line in enumerate(lines)}
    return found


def hits(places: Iterable[tuple[str, bytes]], secrets: dict[str, bytes]) -> list[str]:
    """Name each secret and where it is."""
    return [f"{name} in {where}" for where, content in places for name, one in secrets.items() if one in content]


class Processes:
    """Looks again and again at the command line and the environment of every process of this machine."""

    def __init__(self) -> None:
        self.seen: dict[bytes, str] = {}
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def __enter__(self) -> Processes:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.thread.join()

    def look(self) -> None:
        known: set[tuple[str, bytes]] = set()
        while not self.ended.wait(PAUSE):
            now: set[tuple[str, bytes]] = set()
            for process in Path("/proc").glob("[0-9]*"):
                with contextlib.suppress(OSError):
                    # A process that becomes another program has another command line.
                    told = (process / "cmdline").read_bytes()
                    now.add((process.name, told))
                    if (process.name, told) not in known:
                        environment = (process / "environ").read_bytes()
                        self.seen[told + b"\n" + environment] = f"process {told[:60]!r}"
            known = now

    def places(self) -> Iterator[tuple[str, bytes]]:
        """Yield what was seen."""
        return ((where, content) for content, where in self.seen.items())
