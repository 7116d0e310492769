# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_resize
short_description: Say how the number of services that keep copies can change
version_added: 0.3.0
description:
  - Compares who decides about the data of services with who should, as M(sse.platform.node_resize) has seen that on the
    hosts of the play (C(resize_seen)) and M(sse.platform.swarm_tasks) on the first manager (C(resize_tasks)).
  - Fails where a host stands against it. Changes nothing.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  resize:
    description: One entry of the fact C(cluster.resizes).
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Choose the way
  sse.platform.cluster_resize:
    resize: "{{ cluster.resizes[0] }}"
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: The fact C(cluster_way), with the C(kind) V(none), V(grow) or V(shrink).
  returned: success
  type: dict
"""
