# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_doctor
short_description: Find what is wrong with the hosts of a cluster together
version_added: 0.3.0
description:
  - Judges what M(sse.platform.prepare) and M(sse.platform.cluster_info) saw on every host of the play, and what
    M(sse.platform.swarm_services) with O(sse.platform.swarm_services#module:state=looked) returned to a manager as
    C(swarm_looked). It runs once.
  - Reports a finding for each thing that is wrong, with its host. Changes nothing.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  applied:
    description: The releases that were applied, where they are known. Their images have to be on the hosts.
    type: list
    elements: dict
    default: []
"""

EXAMPLES = r"""
- name: Find what is wrong with the cluster
  sse.platform.cluster_doctor:
  run_once: true
"""

RETURN = r"""
msg:
  description: One sentence when all is well, else every finding.
  returned: always
  type: str
findings:
  description: Every finding.
  returned: always
  type: list
  elements: dict
found:
  description: How much there is to mend, such as C(1 thing to mend).
  returned: where there are findings
  type: str
"""
