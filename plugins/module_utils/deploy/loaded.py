# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a reload left in a container: its labels name what it was created from, and they cannot change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import files_told
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model.observed import INTERRUPTED, LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.spec import fingerprint

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec


class Loaded(TypedDict):
    """The last reload of one container."""

    id: str  # of the container: another one of the same name has nothing of this
    version: str  # the directory of its files that it mounts, below files/<name>
    spec: Spec  # what it was told
    release: str  # its number; empty where ./sse reload asked for it. Older files do not have this key
    ended: bool  # false while it reloads, and for ever where that run was killed


class LoadedStore:
    """One file for each container that was reloaded, below ``<state>/loaded``."""

    def __init__(self, state_directory: str) -> None:
        """Keep everything below one directory."""
        self.directory = Path(state_directory) / "loaded"

    def read(self, name: str) -> Loaded | None:
        """Return the last reload of a container of this name, or None. A damaged file counts as no file."""
        try:
            return cast("Loaded", json.loads((self.directory / f"{name}.json").read_text()))
        except (OSError, ValueError):
            return None

    def of(self, one: Observed) -> Loaded | None:
        """Return the last reload of exactly this container, or None."""
        found = self.read(one.name)
        return found if found and found["id"] == one.id else None

    @files_told()
    def write(self, name: str, loaded: Loaded) -> None:
        """Record a reload in one step; raises ApplyError where the kernel refuses that."""
        state_modes.make(self.directory)
        write_file(self.directory / f"{name}.json", json.dumps(loaded, indent=1), durable=True)

    def put_back(self, name: str, earlier: Loaded | None) -> None:
        """Record what was known before; None stands for nothing."""
        if earlier:
            self.write(name, earlier)
        else:
            self.forget(name)

    def forget(self, name: str) -> None:
        """Drop what is known of a container that is gone."""
        (self.directory / f"{name}.json").unlink(missing_ok=True)

    def seen(self, observed: list[Observed]) -> list[Observed]:
        """Return what runs as if each container had the labels of what its last reload told it."""

        def told(one: Observed) -> Observed:
            loaded = self.of(one)
            if loaded is None:
                return one
            told = fingerprint(loaded["spec"]) if loaded["ended"] else INTERRUPTED
            return one._replace(labels={**one.labels, f"{LABEL}spec": told})

        return [told(one) for one in observed]
