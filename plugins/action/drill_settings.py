# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Choose the name, the ports and the services of the throwaway stack in which a backup is tried."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from pathlib import Path
from typing import Any, ClassVar

from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.preflight import second_stack
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction

OFFSET = "stack_offset"
SUBNET = "network_subnet"
KEY = "drill"  # the name of the API key


class ActionModule(ControllerAction):
    """Decides on the controller."""

    OPTIONS: ClassVar = {
        "state": {"type": "str", "required": True, "choices": ["named", "placed", "chosen"]},
        "directory": {"type": "str", "default": ""},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Do what the state says."""
        return getattr(self, f"_{arguments['state']}")(arguments)

    def _named(self, __: dict[str, Any]) -> dict[str, Any]:
        settings = self.variable("settings")
        return {
            "stack": second_stack.drill_name(settings["stack_name"]),
            "state_directory": f"{settings['stack_state_directory']}-drill",
            "begun": time.time(),
        }

    def _placed(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Find an offset for which everything that depends on it is free, and make a key for this drill alone."""
        host = self.variable("host")
        moved: dict[str, Any] = {}
        for path in sorted(COLLECTION.glob("roles/*/defaults/main.yml")):
            defaults = self.read(path) or {}
            moved |= {name: value for name, value in defaults.items() if OFFSET in str(value)}
        for offset in second_stack.OFFSETS:
            templar = self._templar.copy_with_new_env(available_variables={OFFSET: offset})
            found = {name: templar.template(value) for name, value in moved.items()}
            if second_stack.is_free({int(found[one]) for one in found if one != SUBNET}, found[SUBNET], host):
                return {"offset": offset, **key(Path(arguments["directory"])), "_ansible_no_log": True}
        raise AnsibleActionFail(
            "No stack_offset is free on this host, so there are no ports or addresses for the stack of the drill. "
            "Nothing was changed: remove another stack, or drill on another host."
        )

    def _chosen(self, __: dict[str, Any]) -> dict[str, Any]:
        declared = self.variable("stack_declarations")
        drills = {name: one["drill"] for name, one in declared.items() if "drill" in one}
        if not drills:
            raise AnsibleActionFail("No service declares `drill`, so there is nothing to resume. Nothing was changed.")
        service, drill = next(iter(drills.items()))
        return {"services": second_stack.needed(declared, service, drill["through"]), "declared": drill}


def key(directory: Path) -> dict[str, str]:
    """Make an API key that may subscribe to everything; return it, and the file that holds its hash."""
    secret = secrets.token_urlsafe(32)
    entry = {
        "name": KEY,
        "sha256": hashlib.sha256(secret.encode()).hexdigest(),
        "publish": [],
        "subscribe": ["*", "sse-platform.*"],
    }
    path = directory / "keys.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps({"keys": [entry]}))
    return {"key": f"{KEY}.{secret}", "keys_file": str(path)}
