# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: release
short_description: Resolve declared services to a release
version_added: 0.1.0
description:
  - Resolves names, addresses, sizes and images of all declared services to plain data, one release for each project.
  - Fails when services cannot reach each other, or when the host cannot run the release.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  projects:
    description: >-
      The projects of the stack, each with the names of its services. An empty list means every declared service that
      no other project names.
    type: dict
    default: {}
  stored:
    description: >-
      Releases that the host kept, as M(sse.platform.releases) returns them for a rollback. They are judged as new ones
      are, and O(projects) tells only their order.
    type: list
    elements: dict
    default: []
  backup:
    description: >-
      What a backup that will be restored says of its data, as M(sse.platform.backup_file) returns it. The release is
      refused if its services cannot read them.
    type: dict
  declare:
    description: >-
      Declare every service first, as M(sse.platform.declare) does. So one task does both, and returns the facts of
      both.
    type: bool
    default: false
  prepare:
    description: >-
      Do before that what M(sse.platform.prepare) does. So one task does all, and returns the facts of all except those
      that only this task needs: the declarations, and what the host has of containers, images and networks. The
      variable C(stack_projects) says then what O(projects) says else, because it may speak of the settings.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Build the release
  sse.platform.release:
    declare: true
    projects:
      sse-platform: []
      performance-dashboard: [dashboard]
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(releases) holds one release for each project, C(notices) the guarantees that this host cannot give, and
    C(network_steps) the networks to make and to remove. For some services alone, C(this_run) says which settings of
    C(-e) concern these.
  returned: always
  type: dict
"""
