# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs: the containers with our labels, and any other container that has a name which we need."""

from __future__ import annotations

from typing import NamedTuple

LABEL = "sse.platform."
LEFTOVERS = ("-next", "-previous")  # names that a container has only during its own replacement


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
