# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a run tells Prometheus: name and release of each container, and which release of each project runs.

The kernel counts what a container takes under its id. So that whoever reads those figures needs no socket of the
engine, a run writes the names beside the measured matrix: whenever it has started a container, and at its end.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import state_modes
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_directory
from ansible_collections.sse.platform.plugins.module_utils.host.gauges import gauge
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LEFTOVERS
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases, was_applied

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
    from ansible_collections.sse.platform.plugins.module_utils.model.observed import Observed
    from ansible_collections.sse.platform.plugins.module_utils.model.types import StoredRelease

NAMES, RELEASES = "containers.json", "release.prom"
_ONE = threading.Lock()  # containers are worked on side by side, and the file is written by one at a time


def tell_names(engine: Engine, state_directory: str, stack: str) -> None:
    """Write down the containers of a stack by their ids. It is no reason for a run to fail."""
    with _ONE, contextlib.suppress(EngineError, OSError):
        write(state_directory, NAMES, names(engine.containers(), stack, dt.datetime.now(dt.timezone.utc)))


def tell_releases(state_directory: str) -> None:
    """Write down the release of each project that was applied last. It is no reason for a run to fail."""
    with contextlib.suppress(SpecError, OSError):
        write(state_directory, RELEASES, releases(newest_releases(state_directory)))


def write(state_directory: str, file: str, text: str) -> None:
    """Write a file where the exporters read."""
    directory = Path(state_directory) / state_modes.MATRIX
    state_modes.make(directory)
    write_directory(directory, {file: text}, mode=0o444, owner=state_modes.root(), enter=state_modes.MATRIX_MODE)


def names(observed: Iterable[Observed], stack: str, now: dt.datetime) -> str:
    """Return the names of a stack's containers as JSON, without those that exist during a replacement only."""
    found = {
        one.id: {"name": one.name, "container": one.label("container"), "release": one.label("release")}
        for one in sorted(observed)
        if one.label("stack") == stack and one.label("container") and not one.name.endswith(LEFTOVERS)
    }
    return json.dumps({"written": int(now.timestamp()), "containers": found}, indent=1) + "\n"


def releases(newest: Iterable[StoredRelease]) -> str:
    """Return the applied releases in Prometheus' text format."""
    applied = [one for one in newest if was_applied(one)]

    def labels(one: StoredRelease) -> str:
        commit = json.dumps(one["meta"].get("commit", ""))  # it escapes what the format wants escaped
        return f'{{project="{one["project"]}",number="{one["number"]}",commit={commit}}}'

    at = {labels(one): moment.seconds(one["meta"].get("when", "")) for one in applied}
    newest_of_each, begun = "The release of each project that was applied last.", "When the run that applied it began."
    lines = [
        *gauge("sse_release_info", newest_of_each, *((named, "1") for named in at)),
        *gauge("sse_release_timestamp_seconds", begun, *((named, f"{one:.0f}") for named, one in at.items() if one)),
    ]
    return "\n".join(lines) + "\n"
