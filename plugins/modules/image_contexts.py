# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_contexts
short_description: Pack build contexts
version_added: 0.1.0
description:
  - Packs build contexts of the collection into one archive. One transfer of it to the host is much faster than many.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  contexts:
    description: Directories of the collection that hold a Dockerfile, as paths below the root of the collection.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Pack the build contexts
  sse.platform.image_contexts:
    contexts: [app, roles/images/files/redis]
  register: packed
"""

RETURN = r"""
path:
  description: Path of the archive on the controller. Ansible removes it at the end of the run.
  returned: success
  type: str
"""
