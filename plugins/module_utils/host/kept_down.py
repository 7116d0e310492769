# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Whether the engine would leave a running container down, although its restart policy says that it starts it again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.host import procfs

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.engine import answers


def stays_down(inspected: answers.Inspected) -> bool:
    """Tell whether the engine counts a running container as stopped by hand.

    It does so at each signal by `docker kill`, also at HUP, and until the container starts again. Only its own file
    tells: that one is beside the file for /etc/hosts.
    """
    no_policy = (inspected["HostConfig"].get("RestartPolicy") or {}).get("Name", "no") in {"", "no"}
    hosts = inspected.get("HostsPath", "")
    if no_policy or not inspected["State"]["Running"] or not hosts:
        return False
    try:
        kept = json.loads(procfs.read(str(Path(hosts).with_name("config.v2.json"))))
    except ValueError:
        return False
    return bool(kept.get("HasBeenManuallyStopped"))
