# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: images
short_description: Choose where the images come from
version_added: 0.1.0
description:
  - Chooses the source of the images by the setting C(images_source), and computes the reference of every image.
  - Finds out which images are missing on the host, from the facts C(settings) and C(host).
  - With C(images_source=auto), asks the image registry from the host whether it answers, unless the source is clear.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
"""

EXAMPLES = r"""
- name: Choose where the images come from
  sse.platform.images:
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(images). It holds the source and the reason for it, the references by image, the reasons by image that
    cannot be had, the missing images, the steps that bring them, and all images of ours that a run can need.
  returned: always
  type: dict
"""
