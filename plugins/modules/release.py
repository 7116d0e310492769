"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release
short_description: Resolve declared services to a release
description:
  - Resolves names, addresses, sizes and images of all declared services to plain data, one release a project, and
    refuses what the observed host can't run. Touches no host.
options:
  projects:
    description: >-
      The projects of the stack, each with the names of its services; an empty list takes every declared service that
      no other project names.
    type: dict
    required: true
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Build the release
  sse.platform.release:
    projects:
      sse-platform: []
      performance-dashboard: [dashboard]
"""

RETURN = r"""
ansible_facts:
  description: C(releases), C(release) (the first of them), and C(notices), guarantees that this host does not give.
  returned: always
  type: dict
"""
