# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make a Docker Swarm, or have a host join or leave one."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swarm
short_description: Make a Docker Swarm, or have a host join or leave one
version_added: 0.3.0
description:
  - Makes a Swarm of which the engine of this host is the first manager, or has the engine join one as a worker.
    M(sse.platform.swarm_services) makes managers of workers.
  - Closes the ports of the Swarm on this host to everybody but its other hosts, by a chain of iptables(8).
  - A host that is in a Swarm stays in it, whichever that is, unless O(state=left) is asked for. An engine refuses that
    to a manager.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "A host is in a Swarm, or it is not."}
options:
  state:
    description: >-
      V(present) makes a Swarm, V(joined) joins one, V(left) leaves the one that it is in and opens the ports, V(asked)
      only returns the token of workers, V(closed) only closes the ports, and V(edge) only closes published ports to
      networks that O(sources) does not name.
    type: str
    choices: [present, joined, left, asked, closed, edge]
    default: present
  address:
    description: The address by which the other hosts reach this one. Required for V(present) and V(joined).
    type: str
  managers:
    description: Addresses of managers, for V(joined).
    type: list
    elements: str
    default: []
  admitted:
    description: >-
      For V(closed), the addresses from which the ports can be reached. Where it is left out, they are open to
      everybody, as an engine has them.
    type: list
    elements: str
  stack:
    description: The name of the stack, for V(edge).
    type: str
    default: sse
  state_directory:
    description: The directory on the host that keeps what belongs to the stack, for V(edge).
    type: path
  sources:
    description: For V(edge), the networks from which O(ports) can be reached. Without any, everybody reaches them.
    type: list
    elements: str
    default: []
  ports:
    description: For V(edge), the ports that the stack publishes on this host.
    type: list
    elements: int
    default: []
  host:
    description: What this host is called in RV(changes).
    type: str
    default: this host
  token:
    description: What a worker joins by, as V(asked) returns it. Needed for V(joined) where this host is in no Swarm.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Make the Swarm
  sse.platform.swarm:
    address: 192.0.2.1

- name: Ask for the token
  sse.platform.swarm:
    state: asked
  register: asked
  no_log: true

- name: Join it
  sse.platform.swarm:
    state: joined
    address: 192.0.2.2
    managers: [192.0.2.1]
    token: "{{ asked.token }}"
"""

RETURN = r"""
changes:
  description: What was done to the firewall, one line each. In check mode, what would be done.
  returned: O(state=closed), O(state=edge), O(state=left)
  type: list
  elements: str
token:
  description: What a worker joins by. Nobody may see it, so the task needs C(no_log).
  returned: O(state=asked)
  type: str
state:
  description: What the engine says of itself afterwards, such as C(active); empty for O(state=closed).
  returned: always
  type: str
"""

import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.edge_firewall import EdgeFirewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_firewall import NodeFirewall
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import FirewallError
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi

STATES = ("present", "joined", "left", "asked", "closed", "edge")
PORT = 2377
ACTIVE_SECONDS = 60  # that an engine may take until it is a node


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(STATES), "default": "present"},
            "address": {"type": "str"},
            "managers": {"type": "list", "elements": "str", "default": []},
            "admitted": {"type": "list", "elements": "str"},
            "stack": {"type": "str", "default": "sse"},
            "state_directory": {"type": "path"},
            "sources": {"type": "list", "elements": "str", "default": []},
            "ports": {"type": "list", "elements": "int", "default": []},
            "host": {"type": "str", "default": "this host"},
            "token": {"type": "str", "default": "", "no_log": True},
        },
        required_if=[
            ("state", "present", ["address"]),
            ("state", "joined", ["address"]),
            ("state", "edge", ["state_directory"]),
        ],
        supports_check_mode=True,
    )
    options, api = module.params, SwarmApi()
    try:
        if options["state"] in {"closed", "edge"}:
            if options["state"] == "closed":
                done = NodeFirewall().ensure(options["admitted"], check=module.check_mode)
            else:
                edge = EdgeFirewall(options["stack"], options["state_directory"])
                done = edge.ensure(options["sources"], options["ports"], check=module.check_mode)
            told = [f"~ {options['host']}: {line}" for line in done]
            module.exit_json(changed=bool(done), changes=told, state="")
        before = api.local()["state"]
        if options["state"] == "asked":
            token = "" if before != "active" else api.tokens().worker  # check mode may come before the Swarm
            module.exit_json(changed=False, state=before, token=token)
        if options["state"] == "left":
            if before != "inactive" and not module.check_mode:
                api.leave()
            opened = NodeFirewall().ensure(None, check=module.check_mode)
            state = before if module.check_mode else api.local()["state"]
            module.exit_json(changed=before != "inactive" or bool(opened), changes=opened, state=state)
        changed = before == "inactive"
        if changed and not module.check_mode:
            if options["state"] == "present":
                api.init(options["address"])
            else:
                api.join(options["address"], [f"{one}:{PORT}" for one in options["managers"]], options["token"])
            wait(api)
    except FirewallError as error:
        what = "ports that are published" if options["state"] == "edge" else "ports of the Swarm"
        module.fail_json(msg=f"The {what} stay open to strangers: {error}")
    except RefusedError as error:
        module.fail_json(msg=f"The engine refuses: {error.message}")
    except OSError as error:
        if module.check_mode:
            # The engine is about to be installed.
            module.exit_json(changed=options["state"] != "asked", state="inactive", token="")
        module.fail_json(msg=f"No Docker Engine answers: {error}")
    module.exit_json(changed=changed, state=before if module.check_mode else api.local()["state"])


def wait(api: SwarmApi) -> None:
    """Wait until the engine is a node.

    :raises RefusedError: with the engine's reason
    """
    until = time.monotonic() + ACTIVE_SECONDS
    while (found := api.local())["state"] != "active":
        if time.monotonic() > until or found["state"] == "error":
            raise RefusedError("/swarm/join", 0, found["error"].encode() or b"it does not become a node")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
