# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which containers a run made: whoever makes one by hand, and copies the labels of ours, cannot copy the id.

The engine changes only limits, networks and the name of a container that is there, and those are compared anyway. So a
container that has the id which a run got for it is what its release says, and nothing of it has to be compared.

Each container that a run makes has a label of its own, and the host writes down which id has it. Only that another
container has this label, too, says that somebody made it. What nobody wrote down says nothing: an earlier version made
the container, or the state directory is older than it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import files_told
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model.observed import BY_HAND, LABEL

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed

MARK = "made"  # the label


class MadeStore:
    """One file for each container, below ``<state>/made``: the ids that runs got, by the mark in their label."""

    def __init__(self, state_directory: str) -> None:
        """Keep everything below one directory."""
        self.directory = Path(state_directory) / "made"

    def begin(self, name: str) -> str:
        """Return a new mark for a container that is about to be made: a run that is killed leaves it without an id."""
        mark = secrets.token_hex(8)
        self.write(name, {**self.read(name), mark: ""})
        return mark

    def end(self, name: str, mark: str, made: str) -> None:
        """Write down which container got a mark."""
        self.write(name, {**self.read(name), mark: made})

    def only(self, name: str, container: str) -> None:
        """Drop what is known of all containers of a name but one: the others are gone."""
        known = self.read(name)
        left = {mark: one for mark, one in known.items() if one == container}
        if left != known:
            self.write(name, left)

    def forget(self, name: str) -> None:
        """Drop what is known of a container that is gone."""
        (self.directory / f"{name}.json").unlink(missing_ok=True)

    def seen(self, observed: list[Observed]) -> list[Observed]:
        """Return what runs as if no container that somebody made by hand were made from any spec."""
        return [
            one._replace(labels={**one.labels, f"{LABEL}spec": BY_HAND}) if self.is_by_hand(one) else one
            for one in observed
        ]

    def is_by_hand(self, one: Observed) -> bool:
        """Tell whether a container has the mark of another one."""
        mark = one.label(MARK)
        return bool(mark) and self.read(one.name).get(mark, "") not in {"", one.id}

    def read(self, name: str) -> dict[str, str]:
        """Return the ids by their marks; a damaged file counts as no file."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads((self.directory / f"{name}.json").read_text())
            return cast("dict[str, str]", found) if isinstance(found, dict) else {}
        return {}

    @files_told()
    def write(self, name: str, known: dict[str, str]) -> None:
        """Write the ids in one step; raises ApplyError where the kernel refuses that."""
        state_modes.make(self.directory)
        write_file(self.directory / f"{name}.json", json.dumps(known, indent=1))
