# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a reload left in a container: its labels name what it was created from, and they cannot change."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.deploy.container_store import ContainerStore
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


class LoadedStore(ContainerStore):
    """One file for each container that was reloaded, below ``<state>/loaded``."""

    NAME = "loaded"
    DURABLE = True

    def read(self, name: str) -> Loaded | None:
        """Return the last reload of a container of this name, or None; a damaged file counts as no file."""
        found = self.known(name)
        return cast("Loaded", found) if found.keys() >= {"id", "version", "spec", "ended"} else None

    def of(self, one: Observed) -> Loaded | None:
        """Return the last reload of exactly this container, or None."""
        found = self.read(one.name)
        return found if found and found["id"] == one.id else None

    def put_back(self, name: str, earlier: Loaded | None) -> None:
        """Record what was known before; None stands for nothing."""
        if earlier:
            self.write(name, earlier)
        else:
            self.forget(name)

    def seen(self, observed: list[Observed]) -> list[Observed]:
        """Return what runs as if each container had the labels of what its last reload told it."""

        def told(one: Observed) -> Observed:
            loaded = self.of(one)
            if loaded is None:
                return one
            told = fingerprint(loaded["spec"]) if loaded["ended"] else INTERRUPTED
            return one._replace(labels={**one.labels, f"{LABEL}spec": told})

        return [told(one) for one in observed]
