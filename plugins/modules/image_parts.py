# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_parts
short_description: Take some images out of an archive
version_added: 0.3.0
description:
  - Writes an archive on the controller of those images of an archive that a host lacks.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  archive:
    description: The archive, as C(docker save) writes it.
    type: str
    required: true
  references:
    description: The images, by their names in the archive.
    type: list
    elements: str
    required: true
  part:
    description: An archive that this module wrote before. It is removed, and nothing is written.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Take it out
  sse.platform.image_parts:
    archive: bundle/images.tar.gz
    references: ["redis:8.0.6"]
  register: part
"""

RETURN = r"""
path:
  description: The archive to bring to the host. It is O(archive) where the host lacks everything that is in it.
  returned: O(part) is empty
  type: str
megabytes:
  description: Its size.
  returned: O(part) is empty
  type: int
changes:
  description: How many images it brings, and how much that is, for people.
  returned: O(part) is empty
  type: list
  elements: str
"""
