# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which containers a run made: whoever makes one by hand, and copies the labels of ours, cannot copy the id.

The engine changes only limits, networks and the name of a container that is there, and those are compared anyway. So a
container that has the id which a run got for it is what its release says, and nothing of it has to be compared.

Each container that a run makes has a label of its own, and the host writes down which id has it. Only that another
container has this label, too, says that somebody made it. What nobody wrote down says nothing: an earlier version made
the container, or the state directory is older than it.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.container_store import ContainerStore
from ansible_collections.sse.platform.plugins.module_utils.model.observed import BY_HAND, LABEL

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed

MARK = "made"  # the label


class MadeStore(ContainerStore):
    """One file for each container, below ``<state>/made``: the ids that runs got, by the mark in their label."""

    NAME = "made"

    def begin(self, name: str) -> str:
        """Return a new mark for a container that is about to be made: a run that is killed leaves it without an id."""
        mark = secrets.token_hex(8)
        self.write(name, {**self.known(name), mark: ""})
        return mark

    def end(self, name: str, mark: str, made: str) -> None:
        """Write down which container got a mark."""
        self.write(name, {**self.known(name), mark: made})

    def only(self, name: str, container: str) -> None:
        """Drop what is known of all containers of a name but one: the others are gone."""
        known = self.known(name)
        left = {mark: one for mark, one in known.items() if one == container}
        if left != known:
            self.write(name, left)

    def seen(self, observed: list[Observed]) -> list[Observed]:
        """Return what runs as if no container that somebody made by hand were made from any spec."""
        return [
            one._replace(labels={**one.labels, f"{LABEL}spec": BY_HAND}) if self.is_by_hand(one) else one
            for one in observed
        ]

    def is_by_hand(self, one: Observed) -> bool:
        """Tell whether a container has the mark of another one."""
        mark = one.label(MARK)
        return bool(mark) and self.known(one.name).get(mark, "") not in {"", one.id}
