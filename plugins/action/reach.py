# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Find out how Ansible reaches a host, so that a tool reaches it in the same way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import yaml
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.settings import names
from ansible_collections.sse.platform.plugins.module_utils.settings.options import load
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION
from ansible_collections.sse.platform.plugins.plugin_utils.given import FOREIGN, given_names
from ansible_collections.sse.platform.plugins.plugin_utils.progress import ssh

# Who we are there, and whether sudo asks for nothing: -k, because a remembered password may be forgotten in between.
LOOK = "id -u; id -un; if sudo -kn true 2>/dev/null; then echo silent; else echo asks; fi"


class ActionModule(ActionBase):
    """Connects once, and writes down how."""

    _supports_check_mode = True
    TRANSFERS_FILES = False
    OPTIONS: ClassVar = {"to": {"type": "path", "required": True}, "stack": {"type": "str", "required": True}}

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Write the way to the host into a file that only its owner reads: it may hold a password."""
        result = super().run(tmp, task_vars)
        __, arguments = self.validate_argument_spec(self.OPTIONS)
        variables = task_vars or {}
        self.refuse_unknown(variables)
        connection: Any = self._connection
        kind = connection.transport
        if kind not in {"local", "ssh"}:
            raise AnsibleActionFail(
                f"The connection to this host is '{kind}': expected local or ssh. Run the playbooks there, which take "
                "every connection of Ansible"
            )
        answer: Any = self._low_level_execute_command(LOOK, sudoable=False, executable="/bin/sh")
        said = answer["stdout"].split()[-3:]  # the shell of a user may have greeted first
        if len(said) < 3 or not said[0].isdigit():
            raise AnsibleActionFail(f"The host answers, but has no shell: {answer['stdout']}{answer['stderr']}".strip())
        become = connection.become
        found = {
            "ssh": ssh(connection) if kind == "ssh" else [],
            "target": connection.host if kind == "ssh" else "",
            "uid": int(said[0]),
            "user": said[1],
            "silent": said[2] == "silent",
            "password": (become.get_option("become_pass", playcontext=self._play_context) or "") if become else "",
            "method": become.name if become else "sudo",
            "stack": arguments["stack"],
        }
        Path(arguments["to"]).write_text(json.dumps(found))
        return result

    def refuse_unknown(self, variables: dict[str, Any]) -> None:
        """Refuse a misspelt setting: a tool would work on another stack than the one that was meant."""
        by_role = load(
            COLLECTION / "roles", lambda text: getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text).get_single_data()
        )
        known = {name for options in by_role.values() for name in options}
        ignored = self._templar.template(variables.get(FOREIGN, []))
        problems, __ = names.unknown_names(given_names(variables), known, by_role, ignored)
        if problems:
            raise AnsibleActionFail("Nothing was done: " + "; ".join(problems))
