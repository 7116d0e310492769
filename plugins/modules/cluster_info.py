# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Look at one host of a cluster, while all others look at it: its Swarm, its clock, and the ports between the hosts."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: cluster_info
short_description: Look at one host of a cluster
version_added: 0.3.0
description:
  - Says what the engine of this host is in a Swarm, and what its clock shows.
  - Listens on the ports of a Swarm, and tries those of every peer. All hosts have to do that at the same time, so the
    play needs as many forks as it has hosts.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
options:
  address:
    description: The address by which the other hosts reach this one. Where it is empty, no port is tried.
    type: str
    default: ""
  peers:
    description: The address of each other host, by its name.
    type: dict
    default: {}
  taken:
    description: >-
      Ports of peers that are not tried, by the name of the peer, such as V(4789/udp). Their engine has them, and says
      nothing to strangers, so that each try would last until O(seconds) are over.
    type: dict
    default: {}
  encrypted:
    description: >-
      Whether the overlay is to be encrypted. Then the host is asked for what that needs, and whether packets of ESP
      (protocol 50) come from and to its peers.
    type: bool
    default: false
  stack:
    description: The name of the stack. With it, the host says who may reach the ports that the stack publishes there.
    type: str
    default: ""
  state_directory:
    description: The directory on the host that keeps what belongs to the stack.
    type: str
    default: ""
  seconds:
    description: After how many seconds a port that does not answer counts as closed.
    type: int
    default: 20
"""

EXAMPLES = r"""
- name: Look at the cluster
  sse.platform.cluster_info:
    address: 192.0.2.1
    peers: {b: 192.0.2.2, c: 192.0.2.3}
"""

RETURN = r"""
swarm:
  description: >-
    What the engine is in a Swarm, and, on a manager, the nodes; null where no engine answers. Where the managers agree
    on nothing, there are no nodes, and C(error) has their reason.
  returned: always
  type: dict
unmet:
  description: Ports of peers that did not answer, each with the reason.
  returned: always
  type: list
  elements: dict
held:
  description: Ports of a Swarm that a program of this host has, such as its engine.
  returned: always
  type: list
  elements: str
clock:
  description: The clock of this host when the module began, and when it ended.
  returned: always
  type: list
  elements: float
admits:
  description: Who may reach the ports of the Swarm here, and whether that stays so after the next start of the host.
  returned: always
  type: dict
sources:
  description: The addresses of this host from which it reaches its peers, where they are not O(address).
  returned: always
  type: list
  elements: str
edge:
  description: Which networks may reach the ports that the stack publishes, as the kernel has it; null where not asked.
  returned: always
  type: dict
no_ipsec:
  description: Why this host cannot encrypt an overlay; empty where it can, or where nobody asked.
  returned: always
  type: str
open_files:
  description: The most open files that a container may ask for here.
  returned: always
  type: int
"""

import contextlib
import socket
import time
from collections.abc import Iterable

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.edge_firewall import EdgeFirewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_firewall import NodeFirewall
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import open_files_limit
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.host import ipsec
from ansible_collections.sse.platform.plugins.module_utils.host.meeting import (
    ENCRYPTED,
    SWARM_PORTS,
    Meeting,
    Met,
)
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import SwarmFact


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "default": ""},
            "peers": {"type": "dict", "default": {}},
            "taken": {"type": "dict", "default": {}},
            "encrypted": {"type": "bool", "default": False},
            "stack": {"type": "str", "default": ""},
            "state_directory": {"type": "str", "default": ""},
            "seconds": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    options, begun = module.params, time.time()
    swarm: SwarmFact | None = None
    with contextlib.suppress(OSError):  # no engine runs here yet
        swarm = SwarmApi().looked_at()
    met = Met([], [])
    if options["address"] and options["peers"]:
        try:
            ports = [*SWARM_PORTS, *([ENCRYPTED] if options["encrypted"] else ())]
            meeting = Meeting(options["address"], options["peers"], ports, options["seconds"], options["taken"])
            met = meeting.run()
        except OSError as error:
            module.fail_json(msg=f"Nobody can listen at {options['address']}, the address of this host: {error}")
    clock = [begun, time.time()]
    module.exit_json(
        changed=False,
        swarm=swarm,
        unmet=met.unmet,
        held=met.held,
        clock=clock,
        admits=NodeFirewall().admits(),
        edge=EdgeFirewall(options["stack"], options["state_directory"]).admits() if options["stack"] else None,
        sources=sorted(sources(options["peers"].values()) - {options["address"]}),
        no_ipsec=ipsec.lacks() if options["encrypted"] else "",
        open_files=open_files_limit(),
    )


def sources(peers: Iterable[str]) -> set[str]:
    """Return the addresses from which this host sends to others. Nothing is sent."""
    found: set[str] = set()
    for address in peers:
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:  # no way there
            way.connect((address, SWARM_PORTS[0].number))
            found.add(way.getsockname()[0])
    return found


if __name__ == "__main__":
    main()
