# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which runs on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_matrix
short_description: Bring together which container of a cluster reaches which
version_added: 0.3.0
description:
  - Judges what M(sse.platform.connections) returned on the hosts of the play as C(connections_found) and
    C(connections_tried). It runs once, and changes nothing.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  grid:
    description: Also return the matrix as a drawing.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Bring together which container reaches which
  sse.platform.cluster_matrix:
  run_once: true
"""

RETURN = r"""
findings:
  description: Every connection that is not as declared, with the hosts of both containers.
  returned: always
  type: list
  elements: dict
reached:
  description: How many declared connections there are, each from one container to another one.
  returned: always
  type: int
lines:
  description: How many connections were tried, with which results, and, with O(grid=true), the drawing.
  returned: always
  type: list
  elements: str
files:
  description: By name, the text that the control room reads on each host.
  returned: always
  type: dict
"""
