# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster
short_description: Resolve declared services to a release for a Docker Swarm
version_added: 0.3.0
description:
  - Resolves all declared services to releases, as M(sse.platform.release) does, and those to services of a Swarm.
  - Fails when the services cannot run in a Swarm, or when the hosts of the play make no cluster. It judges what
    M(sse.platform.prepare) and M(sse.platform.cluster_info) saw on every host, so it has to run once, for a manager.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  projects:
    description: The projects of the stack, as M(sse.platform.release) takes them.
    type: dict
    required: true
  looks:
    description: >-
      Refuse nothing that is about the hosts, and leave out those that do not answer: what does not work is then to be
      found.
    type: bool
    default: false
  without:
    description: A host that is about to be drained. The others are judged as if it carried nothing.
    type: str
    default: ""
  stored:
    description: >-
      Releases that the first manager kept, as M(sse.platform.releases) returns them, in place of those that the
      declared services make. Their images have to be on the hosts.
    type: list
    elements: dict
    default: []
  backup:
    description: What a backup that is about to be restored says of the format of its data.
    type: dict
"""

EXAMPLES = r"""
- name: Resolve the release
  sse.platform.cluster:
    projects: {sse-platform: []}
  run_once: true
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(releases) holds one release for each project, C(cluster) the groups, the addresses of all hosts, the
    host with the data of each service, and what every engine allows, and C(notices) what is told at the end of a run.
  returned: always
  type: dict
"""
