# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: handing
short_description: Decide which host of a cluster gets which images, and from where
version_added: 0.3.0
description:
  - What is pulled, each host pulls. What has to be built, one host builds, and the others get it from there through the
    controller, as does a host that cannot pull.
  - Fails where a host would stay without an image that it may have to run.
  - It judges what M(sse.platform.prepare), M(sse.platform.image_way) and M(sse.platform.cluster) found of all hosts, so
    it has to run once.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
"""

EXAMPLES = r"""
- name: Decide who gets which images
  sse.platform.handing:
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(handing) holds the host that gives images to others, what each host gets by itself, and what from there.
  returned: always
  type: dict
"""
