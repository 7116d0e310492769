# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Try, on one host of a cluster, every connection from the containers that it runs."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: connections
short_description: Try the connections between the containers of a cluster
version_added: 0.3.0
description:
  - Without O(shown), says which containers of the stack run on this host, with their addresses.
  - With O(shown), tries every port of every container of all hosts from inside each container of this one, as
    M(sse.platform.verify) does on one host. The file C(matrix/reach.prom) in O(state_directory) keeps the result for
    Prometheus.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: "All is tried, and nothing written."}
  diff_mode: {support: none}
options:
  releases:
    description: The releases that run.
    type: list
    elements: dict
    required: true
  state_directory: {required: true}
  host:
    description: What the inventory calls this host.
    type: str
    required: true
  hosts:
    description: All hosts of the cluster, also those that do not answer.
    type: list
    elements: str
    default: []
  shown:
    description: What this module returned without this option as RV(found), by host.
    type: dict
"""

EXAMPLES = r"""
- name: Ask which containers this host runs
  sse.platform.connections:
    releases: "{{ releases }}"
    state_directory: /var/lib/sse-platform
    host: "{{ inventory_hostname }}"
"""

RETURN = r"""
found:
  description: The containers of this host, and the tasks that are to run, where it is a manager.
  returned: without O(shown)
  type: dict
cells:
  description: Each connection that was tried, and what came of it, for M(sse.platform.cluster_matrix).
  returned: with O(shown)
  type: list
  elements: list
findings:
  description: Containers from which nothing could be tried.
  returned: with O(shown)
  type: list
  elements: dict
"""

import datetime as dt
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.verify import matrix, swarm_matrix


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "releases": {"type": "list", "elements": "dict", "required": True},
            "state_directory": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "hosts": {"type": "list", "elements": "str", "default": []},
            "shown": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    options = module.params
    releases = options["releases"]
    if options["shown"] is None:
        found = swarm_matrix.found(Api(), SwarmApi(), releases[0]["stack"])
        module.exit_json(changed=False, invocation={}, found=found)
    everywhere = swarm_matrix.everywhere(options["shown"], options["hosts"])
    cells, findings = swarm_matrix.tried(releases, everywhere, options["host"])
    if not module.check_mode:
        now = dt.datetime.now(dt.timezone.utc)
        matrix.write(Path(options["state_directory"]), {matrix.REACH: matrix.metrics(cells, now)})
    module.exit_json(
        changed=False,
        invocation={},
        cells=swarm_matrix.packed(cells),
        findings=[one._asdict() for one in findings],
    )


if __name__ == "__main__":
    main()
