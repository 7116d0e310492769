"""A release store with releases that a test makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model.release import build
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore

if TYPE_CHECKING:
    from pathlib import Path

NETWORK: Any = {"name": "n", "segment": "network", "subnet": "10.0.0.0/24", "internal": False}
CHECKED = {"entrypoint": ["x"], "user": "1:1", "healthcheck": {"command": ["true"]}}
META = {"who": "ada", "when": "2026-03-01T10:20:30Z", "commit": "abc1234"}


def keep(
    state: Path, number: int, project: str = "p", outcome: str = "applied", *, note: str = "", **containers: Any
) -> None:
    """Keep a release of a project with these containers, one service each."""
    content = build(
        {
            name: {"containers": {name: {"image": "i", "address": address, **CHECKED, **more}}}
            for address, (name, more) in enumerate(containers.items(), 9)
        },
        stack="s",
        project=project,
        networks={"network": NETWORK},
        references={"i": "i:1"},
        unavailable={},
    )
    said = {"note": note} if note else {}
    stored: Any = {**content, "number": number, "meta": {**META, **said, "outcome": outcome}}
    ReleaseStore(str(state), project).write(stored)
