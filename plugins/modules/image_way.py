# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: image_way
short_description: Find out whether a host of a cluster can get images by itself
version_added: 0.3.0
description:
  - Asks the registry, or the package sources of the host, from which the images of the release come.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
"""

EXAMPLES = r"""
- name: Ask where images can come from
  sse.platform.image_way:
"""

RETURN = r"""
ansible_facts:
  description: The fact C(image_way) says why the host can get none; it is empty where it can.
  returned: always
  type: dict
"""
