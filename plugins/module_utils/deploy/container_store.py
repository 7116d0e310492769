# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a host keeps about each container: one file of JSON for each, in a directory of the state."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import files_told
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file

if TYPE_CHECKING:
    from collections.abc import Mapping


class ContainerStore:
    """The files of one kind; a class of its own says what they hold."""

    NAME = ""  # of the directory
    DURABLE = False  # whether a file has to outlast a power cut

    def __init__(self, state_directory: str) -> None:
        """Keep everything below one directory."""
        self.directory = Path(state_directory) / self.NAME

    def path(self, name: str) -> Path:
        """Return the file of a container."""
        return self.directory / f"{name}.json"

    def known(self, name: str) -> dict[str, Any]:
        """Return what is known of a container; a damaged file counts as no file."""
        with contextlib.suppress(OSError, ValueError):
            found: Any = json.loads(self.path(name).read_text())
            return cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        return {}

    @files_told()
    def write(self, name: str, known: Mapping[str, Any]) -> None:
        """Write down in one step what is known of a container; raises ApplyError where the kernel refuses that."""
        state_modes.make(self.directory)
        write_file(self.path(name), json.dumps(known, indent=1), durable=self.DURABLE)

    def forget(self, name: str) -> None:
        """Drop what is known of a container that is gone."""
        self.path(name).unlink(missing_ok=True)
