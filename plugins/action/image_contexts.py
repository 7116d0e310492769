"""Pack build contexts into one archive on the controller: one transfer, where copying file by file takes minutes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible_collections.sse.platform.plugins.module_utils.deploy import images

COLLECTION = Path(__file__).resolve().parents[2]


class ActionModule(ActionBase):
    """Runs on the controller only; the managed host is not touched."""

    _supports_check_mode = True
    _supports_diff = False
    _requires_connection = False
    TRANSFERS_FILES = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the path of the archive; Ansible removes it at the end of the run."""
        result = super().run(tmp, task_vars)
        _, arguments = self.validate_argument_spec({"contexts": {"type": "list", "elements": "str", "required": True}})
        try:
            content = images.pack_contexts(COLLECTION, arguments["contexts"])
        except images.ImagesError as error:
            raise AnsibleActionFail(str(error)) from None
        # Set at run time, so a type checker doesn't find it as an attribute.
        directory = vars(constants)["DEFAULT_LOCAL_TMP"]
        with tempfile.NamedTemporaryFile(dir=directory, suffix=".tar.gz", delete=False) as file:
            file.write(content)
        result["path"] = file.name
        return result
