# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Run a module that tells how far it is while it works. `meta/runtime.yml` says which modules."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.sse.platform.plugins.action import on_host
from ansible_collections.sse.platform.plugins.plugin_utils.progress import told


class ActionModule(on_host.ActionModule):
    """As any module, with a file into which it writes what it does."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Make the file where a callback reads it."""
        host = str((task_vars or {}).get("inventory_hostname", ""))
        if self._task.check_mode:
            return super().run(tmp, task_vars)
        with told(self._connection, host) as path:
            given = {"progress": path} if path else {}
            if "watch" in self._task.args and path and self._connection.transport == "local":
                given["watcher"] = str(os.getppid())  # Ansible, which has this worker
            self._task.args = {**self._task.args, **given}
            return super().run(tmp, task_vars)
