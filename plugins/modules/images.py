"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: images
short_description: Choose where the images come from
description:
  - Chooses the source of the images by C(images_source), computes every reference, and says what is missing on the
    host, from the facts C(settings) and C(host). Changes nothing.
  - Where the source is automatic and nothing else decides, asks from the host whether the image registry answers.
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Choose where the images come from
  sse.platform.images:
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(images), with source, reason, references by name, unavailable with a reason by name, missing, steps to
    get what is missing in order, and superseded references of earlier builds.
  returned: always
  type: dict
"""
