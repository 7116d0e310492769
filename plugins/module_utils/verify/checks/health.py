# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The health check of every container passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.health import check_health, passed_lately, question
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
from ansible_collections.sse.platform.plugins.module_utils.verify.check import Checked, Kind, each

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

PATIENCE = 20.0  # seconds: after a change of everything a host with few cores answers late, without a fault


def check(running: Running, subject: Subject, _asked: None) -> Checked:
    """Ask now over HTTP. Run a command only where the engine's last result is old: that costs some 80 ms of CPU."""
    asked = subject.spec["healthcheck"]
    if asked["http"] is None and passed_lately(subject.inspected, asked["interval"]):
        return Checked()
    try:
        healthy, got = check_health(running.engine, subject.inspected["Id"], subject.spec, PATIENCE)
    except EngineError as error:
        healthy, got = False, str(error)
    if healthy:
        return Checked()
    wrong = f"its health check failed ({question(asked)[:120]})"
    return Checked([Finding("health", subject.name, wrong, got[-300:], (f"./sse logs {subject.name}",))], 0)


KIND = Kind("health", "healthy", each(check))
