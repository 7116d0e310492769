# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs: the containers with our labels, and any other container that has a name which we need."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

LABEL = "sse.platform."
# Names that a container has only during its own replacement, or while its new configuration is checked.
ASIDE = "-previous"
TRIAL = "-trial"
LEFTOVERS = ("-next", ASIDE, TRIAL)
INTERRUPTED = "interrupted"  # instead of a fingerprint: the container's reload was begun, and nobody saw its end
UNRECORDED = "unrecorded"  # instead of a fingerprint: its last reload ended, and somebody deleted the record of it
BY_HAND = "by hand"  # instead of a fingerprint: the labels are those of another container


class Joined(NamedTuple):
    """A container's place on one network, as it was asked for."""

    network_id: str
    address: str  # the reserved IPv4 address; empty where the engine chose one
    address6: str
    aliases: frozenset[str]


class Present(NamedTuple):
    """What can change on a container that exists: somebody connects, disconnects or updates it."""

    networks: dict[str, Joined]
    limits: dict[str, int | str]  # memory, memory_swap, pids, restart and cpu_shares, as a spec has them
    extra_limits: dict[str, int | str]  # by the engine's own name: limits that no spec asks for
    started: float  # seconds since the epoch; 0 where it does not run
    lost_mounts: frozenset[str]  # paths in the container whose directory on the host was deleted since it started
    unplugged: Mapping[str, str] = MappingProxyType({})  # networks that it does not reach, with the reason
    misled: tuple[str, ...] = ()  # pinned names that do not lead to their addresses in its /etc/hosts
    stays_down: bool = False  # the engine would not start it again, although its restart policy says so


class Observed(NamedTuple):
    """One container as the engine shows it."""

    name: str
    id: str
    labels: dict[str, str]
    status: str  # created, running, paused, restarting, exited, dead
    health: str  # healthy, unhealthy, starting, or empty where the engine runs no check

    def label(self, key: str) -> str:
        """Return one of our labels, or an empty string."""
        return self.labels.get(LABEL + key, "")

    def belongs(self, stack: str, project: str) -> bool:
        """Tell whether the container is ours."""
        return self.label("stack") == stack and self.label("project") == project

    @property
    def release(self) -> int:
        """Return the number of the release that created it; 0 where the label is missing."""
        label = self.label("release")
        return int(label) if label.isdigit() else 0
