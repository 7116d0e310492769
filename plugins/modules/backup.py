# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Write a backup of a stack on its host, or put one back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup
short_description: Write a backup of a stack on its host, or put one back
version_added: 0.2.0
description:
  - Reads data, releases and secrets while the stack runs.
  - Puts them into the state directory of a stack that is not there.
  - The archive holds no secret. The result of O(state=written) holds them, so its task needs C(no_log).
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: "Nothing is written. What does not fit is refused."}
  diff_mode: {support: none}
options:
  state:
    description:
      - V(asked) returns which copies of the same data are whole, as each container of this host with a copy says.
      - V(written) writes a backup into a new directory of the host.
      - V(fetched) removes that directory.
      - V(fitting) refuses what could not be restored here, and changes nothing.
      - V(restored) puts a backup into the state directory. Of several hosts, each counts as half restored afterwards.
      - V(placed) says of several hosts that all of them have what comes to them, on each before any is V(settled).
      - V(settled) ends the restore of several hosts.
    type: str
    required: true
    choices: [asked, written, fetched, fitting, restored, placed, settled]
  stack: {required: true}
  state_directory: {required: true}
  left_out:
    description: Services whose data are not in the backup.
    type: list
    elements: str
    default: []
  archive:
    description: Path of the archive on the host.
    type: path
  archive_bytes:
    description: The size of the archive that will come to the host, for O(state=fitting).
    type: int
    default: 0
  manifest:
    description: What is in the backup.
    type: dict
  secrets:
    description: The values of the secrets by their names.
    type: dict
  host:
    description: The name of this host, where the stack is on several. Each of them writes and restores what it has.
    type: str
    default: ""
  first:
    description: The host that keeps the secrets, the releases, and the data that O(held) does not name.
    type: str
    default: ""
  held:
    description: The host with the data of each container, by the container's full name.
    type: dict
    default: {}
  releases:
    description: What runs, for a host that keeps no releases, and for O(state=asked).
    type: list
    elements: dict
    default: []
  said:
    description: What O(state=asked) returned on all hosts together.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Write a backup
  sse.platform.backup:
    state: written
    stack: sse
    state_directory: /var/lib/sse-platform
  register: written
  no_log: true
"""

RETURN = r"""
archive:
  description: Path of the archive on the host, readable for the user of the connection.
  returned: O(state=written)
  type: str
archive_bytes:
  description: Size of the archive.
  returned: O(state=written)
  type: int
manifest:
  description: What is in the backup.
  returned: O(state=written)
  type: dict
secrets:
  description: The values of the secrets by their names.
  returned: O(state=written)
  type: dict
said:
  description: By the full name of a container with a copy of data, the short names of those that are whole.
  returned: O(state=asked)
  type: dict
comes:
  description: Whether anything of the backup comes to this host.
  returned: O(state=fitting)
  type: bool
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup, backup_copies
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError

PREFIX = "sse-backup-"


def asked(module: AnsibleModule) -> dict[str, object]:
    """Ask who has a whole copy."""
    options = module.params
    found = backup_copies.said(options["state_directory"], options["stack"], options["releases"])
    return {"changed": False, "said": found}


def written(module: AnsibleModule) -> dict[str, object]:
    """Write a backup where the user of the connection may fetch it."""
    options = module.params
    if module.check_mode:
        return {"changed": True}
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=backup.MEANWHILE))
    try:
        found = backup.write(
            options["stack"],
            options["state_directory"],
            options["left_out"],
            directory / "state.tar.gz",
            share_of(options),
            options["releases"],
            backup_copies.copies(options["releases"], options["left_out"], options["said"]),
        )
    except BaseException:
        shutil.rmtree(directory)
        raise
    if user := os.environ.get("SUDO_UID"):
        for path in (directory, directory / "state.tar.gz"):
            os.chown(path, int(user), -1)
    return {"changed": False, "archive_bytes": (directory / "state.tar.gz").stat().st_size, **found}


def fetched(module: AnsibleModule) -> dict[str, object]:
    """Remove the directory of an archive that this module made."""
    directory = Path(module.params["archive"]).parent
    if directory.name.startswith(PREFIX) and not module.check_mode:
        shutil.rmtree(directory, ignore_errors=True)
    return {"changed": False}


def fitting(module: AnsibleModule) -> dict[str, object]:
    """Refuse what could not be restored."""
    options = module.params
    backup.refuse_misfit(
        options["manifest"],
        options["stack"],
        options["state_directory"],
        options["archive_bytes"],
        share_of(options),
    )
    return {"changed": False, "comes": backup.comes(options["manifest"], options["stack"], share_of(options))}


def restored(module: AnsibleModule) -> dict[str, object]:
    """Put a backup back."""
    options = module.params
    if not module.check_mode:
        backup.restore(
            Path(options["archive"]),
            options["manifest"],
            options["secrets"],
            options["stack"],
            options["state_directory"],
            share_of(options),
        )
    return {"changed": True}


def share_of(options: dict[str, Any]) -> backup.Share:
    """Return what of the stack this host has."""
    return backup.Share(options["held"], options["host"], options["first"])


def placed(module: AnsibleModule) -> dict[str, object]:
    """Say that everything is in its place on all hosts."""
    if not module.check_mode:
        backup.placed_here(module.params["state_directory"])
    return {"changed": False}


def settled(module: AnsibleModule) -> dict[str, object]:
    """Say that everything is in its place."""
    if not module.check_mode:
        backup.placed_everywhere(module.params["state_directory"])
    return {"changed": False}


STATES = {
    "asked": asked,
    "written": written,
    "fetched": fetched,
    "fitting": fitting,
    "restored": restored,
    "placed": placed,
    "settled": settled,
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": list(STATES)},
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "archive": {"type": "path"},
            "archive_bytes": {"type": "int", "default": 0},
            "manifest": {"type": "dict"},
            "secrets": {"type": "dict", "no_log": True},
            "host": {"type": "str", "default": ""},
            "first": {"type": "str", "default": ""},
            "held": {"type": "dict", "default": {}},
            "releases": {"type": "list", "elements": "dict", "default": []},
            "said": {"type": "dict", "default": {}},
        },
        required_if=[
            ("state", "fetched", ["archive"]),
            ("state", "fitting", ["manifest"]),
            ("state", "restored", ["archive", "manifest", "secrets"]),
        ],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**STATES[module.params["state"]](module))
    except (backup.BackupError, EngineError, SpecError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
