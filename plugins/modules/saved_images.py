# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Save images of a host in one file, where the user of the connection may fetch it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: saved_images
short_description: Save images of a host in one file
version_added: 0.3.0
description:
  - Saves images as C(docker save) does, compressed, where the user of the connection may fetch the file.
  - Removes such a file, and those that runs left here which were killed, when they are older than a few hours.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "It changes nothing that is declared."}
options:
  state:
    description: V(present) saves the images, V(absent) removes the file.
    type: str
    choices: [present, absent]
    default: present
  references:
    description: The images, for V(present).
    type: list
    elements: str
    default: []
  path:
    description: The file, for V(absent), as RV(path) said.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Save them
  sse.platform.saved_images:
    references: ["redis:8.0.6"]
  register: saved
"""

RETURN = r"""
path:
  description: The file.
  returned: O(state=present)
  type: str
megabytes:
  description: Its size.
  returned: O(state=present)
  type: int
"""

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.images.saving import save

PREFIX = "sse-images-"
LEFT_SECONDS = 6 * 3600.0  # after which nobody fetches a file any more
MEANWHILE = "/var/tmp"  # noqa: S108 - a directory of its own below it, for root alone  # nosec B108


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "references": {"type": "list", "elements": "str", "default": []},
            "path": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    if options["state"] == "absent":
        directory = Path(options["path"]).parent
        if directory.name.startswith(PREFIX) and not module.check_mode:
            shutil.rmtree(directory, ignore_errors=True)
        module.exit_json(changed=False)
    if module.check_mode:
        module.exit_json(changed=False, path="", megabytes=0)
    forget_left()
    directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEANWHILE))
    path = directory / "images.tar.gz"
    try:
        problem = save(options["references"], path)
        if user := os.environ.get("SUDO_UID"):
            for one in (directory, path):
                os.chown(one, int(user), -1)
    except OSError as error:
        problem = str(error)
    if problem:
        shutil.rmtree(directory, ignore_errors=True)
        module.fail_json(
            msg=f"The images could not be saved: {problem}. Check that {MEANWHILE} has room for them, and run it again."
        )
    module.exit_json(changed=False, path=str(path), megabytes=round(path.stat().st_size / 1e6))


def forget_left() -> None:
    """Remove what runs left that were killed: it is as large as all images."""
    for one in Path(MEANWHILE).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):
            if time.time() - one.lstat().st_mtime > LEFT_SECONDS:
                shutil.rmtree(one)  # no link: it refuses those


if __name__ == "__main__":
    main()
