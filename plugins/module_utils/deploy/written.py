# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What was written into files of secrets: a keyed hash of each, so that a change is found where nobody has the secret.

A secret that a person gave is on the controller alone. The host keeps no copy but the file that a container reads.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.container_store import ContainerStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class WrittenStore(ContainerStore):
    """One file for each container that has secrets, below ``<state>/written``."""

    NAME = "written"

    def __init__(self, state_directory: str, hashed: Callable[[str], str | None]) -> None:
        """Keep everything below one directory.

        :param hashed: takes a text; returns a hash that only this host can make, None where it has no key yet
        """
        super().__init__(state_directory)
        self.state = Path(state_directory)
        self.hashed = hashed

    def record(self, directory: Path, texts: Mapping[str, str]) -> None:
        """Record the files of a directory, before they are written: a killed run leaves a difference, not a lie."""
        name, place = self.place(directory)
        others = {path: kept for path, kept in self.known(name).items() if not path.startswith(f"{place}/")}
        now = {f"{place}/{file}": hashed for file, text in texts.items() if (hashed := self.hashed(text))}
        self.write(name, {**others, **now})

    def differs(self, path: Path) -> bool:
        """Tell whether a file is known and holds something else now."""
        name, place = self.place(path)
        known = self.known(name).get(place)
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return self.is_other(path, path.read_text())
        return known is not None

    def is_other(self, path: Path, text: str) -> bool:
        """Tell whether a file is known, and was written with another text than this one."""
        name, place = self.place(path)
        known = self.known(name).get(place)
        return known is not None and self.hashed(text) not in {None, known}

    def prune(self, name: str, present: Path) -> None:
        """Drop what is known of files of a container that are not there any more."""
        known = self.known(name)
        left = {place: kept for place, kept in known.items() if (present / place).exists()}
        if left != known:
            self.write(name, left)

    def place(self, path: Path) -> tuple[str, str]:
        """Return the container of a path below ``<state>/files``, and the rest of the path."""
        name, *rest = path.relative_to(self.state / "files").parts
        return name, "/".join(rest)
