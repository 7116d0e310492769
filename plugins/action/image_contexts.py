# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Pack build contexts into one archive on the controller: one transfer, where copying file by file takes minutes."""

from __future__ import annotations

import tempfile
from typing import Any, ClassVar

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.images.build_contexts import ContextError, pack_contexts
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import COLLECTION, ControllerAction


class ActionModule(ControllerAction):
    """Writes the archive on the controller."""

    OPTIONS: ClassVar = {"contexts": {"type": "list", "elements": "str", "required": True}}

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the path of the archive; Ansible removes it at the end of the run."""
        try:
            content = pack_contexts(COLLECTION, arguments["contexts"])
        except ContextError as error:
            raise AnsibleActionFail(str(error)) from None
        # Set at run time, so a type checker does not find it as an attribute.
        directory = vars(constants)["DEFAULT_LOCAL_TMP"]
        with tempfile.NamedTemporaryFile(dir=directory, suffix=".tar.gz", delete=False) as file:
            file.write(content)
        return {"path": file.name}
