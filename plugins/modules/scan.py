# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Look at a host as others see it, and compare what answers with what its stack declares."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: scan
short_description: List what a host answers to others
version_added: 0.1.0
description:
  - Makes a network namespace next to the host, with a cable between them. It stands for another machine.
  - Connects from there to every TCP port of the host, over IPv4 and IPv6, and to the listeners of the containers.
  - Lists what answers and is not declared by the newest releases, and what is declared and does not answer.
  - Sends nothing to other machines. The namespace is gone at the end, also when the run is killed.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack
  - sse.platform.stack.directory
options:
  stack: {default: sse}
  state_directory:
    description: Directory on the host where the stack keeps its releases. Empty means the default of this stack.
    type: str
    default: ""
  ports:
    description: Ports and ranges of ports to try, such as V(80,443,8000-9000).
    type: str
    default: 1-65535
  allow:
    description: Ports that something else on the host serves to others, with your consent.
    type: list
    elements: int
    default: []
  declared:
    description: >-
      Of a host of a cluster, the ports that others may reach, each with its address and the name of its service. The
      first manager keeps the releases.
    type: list
    elements: list
  allow_from:
    description: The networks that may reach O(declared), for a host of a cluster. Without any, everybody may.
    type: list
    elements: str
    default: []
  nodes:
    description: Addresses of the hosts of its Swarm, which may reach the ports of the Swarm.
    type: list
    elements: str
    default: []
  others:
    description: Look at these hosts instead, from this one. By name, what RV(known) was of each.
    type: dict
    default: {}
  addresses:
    description: The address of each of O(others), by its name.
    type: dict
    default: {}
  own:
    description: The name of this host among O(others), which does not look at itself.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See what a host with a mail server answers to others
  sse.platform.scan:
    allow: [25]
"""

RETURN = r"""
views:
  description: By host, C(lines), C(answers) and C(findings).
  returned: with O(others), and nothing else then
  type: dict
lines:
  description: What answers, as text.
  returned: success
  type: list
  elements: str
answers:
  description: What answers, with C(address), C(port), C(who) and C(right). C(right) is empty for what is not declared.
  returned: success
  type: list
  elements: dict
findings:
  description: What is open and should not be, and what is closed and should be open, as in M(sse.platform.verify).
  returned: success
  type: list
  elements: dict
known:
  description: What an answer is compared with. A scan from another machine needs it.
  returned: success
  type: dict
"""

import contextlib
import socket
from functools import partial
from typing import Any, Literal

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.engine import containers
from ansible_collections.sse.platform.plugins.module_utils.host import machine, namespace, neighbour
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify import outside

KEYS: tuple[Literal["address", "address6"], ...] = ("address", "address6")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "default": "sse"},
            "state_directory": {"type": "str", "default": ""},
            "ports": {"type": "str", "default": outside.ALL_PORTS},
            "allow": {"type": "list", "elements": "int", "default": []},
            "declared": {"type": "list", "elements": "list"},
            "allow_from": {"type": "list", "elements": "str", "default": []},
            "nodes": {"type": "list", "elements": "str", "default": []},
            "others": {"type": "dict", "default": {}},
            "addresses": {"type": "dict", "default": {}},
            "own": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    stack = module.params["stack"]
    directory = module.params["state_directory"] or f"/var/lib/{stack}-platform"
    try:
        ports = outside.ports_of(module.params["ports"])
        releases = newest_releases(directory) if module.params["declared"] is None else []
    except (ValueError, SpecError) as error:
        module.fail_json(msg=str(error))
    if module.params["others"]:
        look_at(module, ports)
    if not releases and module.params["declared"] is None:
        module.fail_json(msg=f"No port is declared, because {directory} holds no release: ./sse up deploys a stack.")
    seen = machine.observe(directory)
    if seen["engine"] is None:
        module.fail_json(msg=f"No Docker Engine answers here: {seen['engine_error']}. ./sse doctor tells more.")
    there = [
        outside.Seen(one["name"], [each[key] for each in one["networks"].values() for key in KEYS], one["published"])
        for one in containers(stack)
    ]
    known = outside.knowledge(seen, releases, there, module.params["allow"])
    known["nodes"] = module.params["nodes"]
    if module.params["declared"] is not None:
        known["allow_from"] = sorted(set(module.params["allow_from"]))
        known["declared"] = [(ip, int(port), name) for ip, port, name in module.params["declared"]]
    taken = [
        *(one["destination"] for one in seen["routes"]),
        *(each for one in seen["interfaces"] for each in one["addresses"]),
        *(each for one in seen["networks"] for each in one["subnets"]),
    ]
    try:
        with neighbour.beside(one for one in taken if not one.endswith("/0")) as beside:
            # For an IP family in which the host has no address that others reach, try its end of the cable instead.
            families = {":" in one for one in known["outer"]}
            ends = [one for one in beside.host if (":" in one) not in families]
            wanted = outside.targets(known, ports, ends)
            required = [*known["outer"], *ends]
            place = ("a machine beside it,", beside.own[0])
            look = partial(outside.view, known, place, wanted, required, outside.BESIDE_SECONDS)
            view = namespace.inside(beside.pid, look)
    except (neighbour.NeighbourError, OSError) as error:
        module.fail_json(msg=f"Can't make a neighbour of this host to look from: {error}")
    module.exit_json(
        changed=False,
        lines=view.lines,
        answers=[one._asdict() for one in view.answers],
        findings=[one._asdict() for one in view.findings],
        known=known,
    )


def look_at(module: AnsibleModule, ports: list[int]) -> None:
    """Look at other hosts from this one, and say what each of them answers."""
    views: dict[str, dict[str, Any]] = {}
    for host, known in module.params["others"].items():
        if host == module.params["own"]:
            continue
        address = module.params["addresses"][host]
        own = ""
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as way:  # no way there
            way.connect((address, ports[0]))  # nothing is sent
            own = way.getsockname()[0]
        wanted = [(address, port) for port in ports]
        view = outside.view(known, (f"{module.params['own']},", own), wanted, [address], outside.AFAR_SECONDS)
        views[host] = {
            "lines": view.lines,
            "answers": [one._asdict() for one in view.answers],
            "findings": [one._asdict() for one in view.findings],
        }
    module.exit_json(changed=False, views=views)


if __name__ == "__main__":
    main()
