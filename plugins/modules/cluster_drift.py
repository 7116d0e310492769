# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_drift
short_description: Find what somebody changed on several hosts since the last release was applied
version_added: 0.3.0
description:
  - Brings together what M(sse.platform.swarm_services) and M(sse.platform.node_files) found on the hosts of the play,
    as C(swarm_compared) and C(node_compared), and compares the configuration of each engine with the settings.
  - Fails when something differs, and says what a run would do about it. A host that does not answer is a difference,
    too. Changes nothing.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
"""

EXAMPLES = r"""
- name: Fail when somebody changed the stack by hand
  sse.platform.cluster_drift:
  run_once: true
"""

RETURN = r"""
findings:
  description: One entry for each difference.
  returned: always
  type: list
  elements: dict
"""
