# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Take the images that a host lacks out of an archive on the controller."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, ClassVar

from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible_collections.sse.platform.plugins.module_utils.images import parts
from ansible_collections.sse.platform.plugins.module_utils.images.steps import ImagesError
from ansible_collections.sse.platform.plugins.plugin_utils.controller_action import ControllerAction


class ActionModule(ControllerAction):
    """Writes the archive on the controller."""

    OPTIONS: ClassVar = {
        "archive": {"type": "str", "required": True},
        "references": {"type": "list", "elements": "str", "required": True},
        "part": {"type": "str", "default": ""},
    }

    def decide(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the path of what is to be brought to the host, and its size in megabytes."""
        archive = Path(arguments["archive"])
        if arguments["part"]:
            if arguments["part"] != arguments["archive"]:
                Path(arguments["part"]).unlink(missing_ok=True)
            return {}
        # Set at run time, so a type checker does not find it as an attribute. Ansible removes it at the end of the run.
        directory = vars(constants)["DEFAULT_LOCAL_TMP"]
        descriptor, name = tempfile.mkstemp(dir=directory, suffix=".tar.gz")
        made = Path(name)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is open
            try:
                fewer = parts.extract(archive, arguments["references"], file)
            except (ImagesError, OSError) as error:
                made.unlink(missing_ok=True)
                raise AnsibleActionFail(str(error)) from None
        if not fewer:
            made.unlink()
        path = made if fewer else archive
        size = round(path.stat().st_size / 1e6)
        told = f"{len(arguments['references'])} images for {self.variables['inventory_hostname']}, {size} MB"
        return {"path": str(path), "megabytes": size, "changes": [told], "changed": True}
