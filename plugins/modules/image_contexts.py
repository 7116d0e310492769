"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_contexts
short_description: Pack build contexts
description:
  - Packs build contexts of the collection into one archive on the controller.
options:
  contexts:
    description: Directories below the collection, each with a Dockerfile.
    type: list
    elements: str
    required: true
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Pack the build contexts
  sse.platform.image_contexts:
    contexts: [app, roles/images/files/redis]
  register: packed
"""

RETURN = r"""
path:
  description: Path of the archive on the controller; it is removed at the end of the run.
  returned: success
  type: str
"""
