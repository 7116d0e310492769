# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a Swarm shows: its nodes, and the services with our labels or with a name that we need."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypedDict

from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

# Of a service that a run has stopped, and that has everything that others have which keep copies with it.
COMPLETE_LABEL = f"{LABEL}complete"


class NodeFact(TypedDict):
    """One node, as a manager sees it."""

    id: str
    name: str  # as its host calls itself
    role: str  # manager or worker
    availability: str  # active, pause or drain
    state: str  # ready, down, disconnected or unknown
    address: str  # empty where the managers do not know it
    engine: str  # version
    labels: dict[str, str]
    leader: bool
    reachable: bool  # of a manager: whether the others reach it


class SwarmFact(TypedDict):
    """What the engine of one host says of the Swarm that it is in. Only a manager knows the nodes."""

    state: str  # inactive, active, locked, error or pending
    error: str
    id: str  # of the Swarm, where a manager was asked
    node: str  # id of this host's node
    address: str  # by which the others reach this host
    manager: bool
    managers: list[str]  # address:port of each, as this host knows them
    nodes: list[NodeFact]


class Admits(TypedDict):
    """Who may reach the Swarm's ports of a host, as its kernel has it."""

    addresses: list[str] | None  # None where everybody may
    kept: bool  # whether that is so after the next start of the host, too


class EdgeAdmits(TypedDict):
    """Which networks may reach the published ports of a host, as its kernel has it."""

    sources: list[str]  # none where nothing is closed, or not as it was written
    ports: list[int]
    kept: bool  # whether that is so after the next start of the host, too
    there: bool  # whether there is a chain at all


class ObservedService(NamedTuple):
    """One service of the Swarm as a manager shows it."""

    name: str
    id: str
    labels: dict[str, str]
    request: Json  # what it was asked for, by hand or by us
    wanted: int  # tasks that should run
    running: dict[str, int]  # tasks that do, by node; one with a health check runs when that has succeeded
    waits: list[str]  # why others do not
    update: str  # state of its last update, such as paused or rollback_completed; empty where there was none
    message: str  # what the manager says of this update
    begun: str = ""  # when this update began
    ending: int = 0  # tasks that are being stopped
    failure: str = ""  # why the last task that failed did so, however long ago

    def label(self, key: str) -> str:
        """Return one of our labels, or an empty string."""
        return self.labels.get(LABEL + key, "")

    @property
    def stands_complete(self) -> bool:
        """Whether a run has stopped it, and it has everything that others have which keep copies with it."""
        return COMPLETE_LABEL in self.labels and self.wanted == 0

    def belongs(self, stack: str, project: str) -> bool:
        """Tell whether the service is ours."""
        return self.label("stack") == stack and self.label("project") == project

    @property
    def container(self) -> Json:
        """Return what is asked of its containers; empty where that is not shown."""
        task: Json = self.request.get("TaskTemplate") or {}
        return task.get("ContainerSpec") or {}

    @property
    def complete(self) -> bool:
        """Tell whether every task runs."""
        return bool(self.wanted) and sum(self.running.values()) >= self.wanted and not self.waits


def of_manager(shown: Iterable[SwarmFact | None]) -> SwarmFact | None:
    """Return the Swarm as the first manager that works shows it; None where none does."""
    return next((one for one in shown if one and one["nodes"]), None)
