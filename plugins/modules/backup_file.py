# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_file
short_description: Write and read the file of a backup on the controller
version_added: 0.2.0
description:
  - Packs what M(sse.platform.backup) wrote into one file, where the secrets are encrypted by a passphrase.
  - Opens such a file.
  - The passphrase comes from the environment variable E(SSE_BACKUP_PASSPHRASE), from a file, or from the terminal.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  state:
    description:
      - V(ready) refuses what would fail later.
      - V(fitting) refuses a disk of the controller without room for the archive and the file, and makes a directory for
        O(archive) that only this user can read.
      - V(packed) writes the file.
      - V(opened) checks the file and unpacks its archive into a temporary directory.
      - V(closed) removes the directory of either, and those of runs that were killed.
    type: str
    required: true
    choices: [ready, fitting, packed, opened, closed]
  path:
    description: Path of the backup. It is chosen by the name of the stack and the time when it is empty.
    type: str
    default: ""
  passphrase_file:
    description: A file that holds the passphrase.
    type: str
    default: ""
  written:
    description: The result of M(sse.platform.backup) with O(sse.platform.backup#module:state=written).
    type: dict
  parts:
    description: >-
      The same of several hosts, by their names, and first that of the host that keeps the releases. The archive of each
      is beside O(archive), with a dot and the name of the host behind it.
    type: dict
  together:
    description: Whether the hosts of the play have one stack together, for O(state=ready).
    type: bool
    default: false
  temporary:
    description: Whether the backup goes into a temporary directory, for O(state=ready).
    type: bool
    default: false
  archive:
    description: Path of the fetched or unpacked archive on the controller.
    type: str
    default: ""
  archive_bytes:
    description: Size of the archive, for O(state=fitting).
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Open a backup
  sse.platform.backup_file:
    state: opened
    path: sse.backup
  register: opened
  no_log: true
"""

RETURN = r"""
path:
  description: Path of the backup.
  returned: O(state=ready)
  type: str
archive:
  description: Path of the archive on the controller.
  returned: O(state=ready) and O(state=opened)
  type: str
lines:
  description: What the backup holds, for people.
  returned: O(state=packed)
  type: list
  elements: str
directory:
  description: The temporary directory, which only this user can read.
  returned: O(state=opened)
  type: str
archive_bytes:
  description: Size of the archive.
  returned: O(state=opened)
  type: int
data:
  description: What the backup says of the format of its data, for M(sse.platform.release).
  returned: O(state=opened)
  type: dict
manifest:
  description: What is in the backup.
  returned: O(state=opened)
  type: dict
secrets:
  description: The values of the secrets by their names.
  returned: O(state=opened)
  type: dict
"""
