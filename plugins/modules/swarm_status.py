# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Say what runs of a stack in a Swarm, as one of its managers sees it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swarm_status
short_description: Say what runs of a stack in a Docker Swarm
version_added: 0.3.0
description:
  - Asks the engine of a manager for the nodes of its Swarm, and for the services of a stack. It works while other hosts
    are down, and changes nothing.
  - What the stack uses that runs elsewhere is told as the last run has told this manager.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "It changes nothing."}
options:
  stack_name:
    description: The name of the stack.
    type: str
    required: true
  state_directory:
    description: Where the host keeps everything of the stack. With it, what is paused or elsewhere is told, too.
    type: path
    default: ""
  watch:
    description: Look again every 2 seconds, until nobody reads O(progress) any more.
    type: bool
    default: false
  progress:
    description: A file of the host into which the module writes what it sees, as for M(sse.platform.stack).
    type: path
    default: ""
  watcher:
    description: The process on this host that reads O(progress), where it is one of this host.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Look at the Swarm
  sse.platform.swarm_status:
    stack_name: sse
    state_directory: /var/lib/sse-platform
  register: seen
"""

RETURN = r"""
manager:
  description: Whether this host is a manager of a Swarm. Only a manager knows what runs.
  returned: success
  type: bool
lines:
  description: Its nodes, and the services of the stack with the nodes of their tasks, for people.
  returned: success
  type: list
  elements: str
document:
  description: The same, for C(./sse status --json).
  returned: on a manager
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout_control, run_lock, switches
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import SwarmFact
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import current_release
from ansible_collections.sse.platform.plugins.module_utils.views import live, swarm_status, watching
from ansible_collections.sse.platform.plugins.module_utils.views.status_table import Status

SECONDS = 2.0  # between two looks


def look(api: SwarmApi, stack: str, directory: str) -> tuple[SwarmFact, Status, dict[str, Any]]:
    """Return what the engine says of its Swarm, the same for people, and for programs.

    :raises RefusedError: the managers decide nothing
    :raises OSError: no engine answers
    """
    swarm = api.local()
    services = api.services() if swarm["manager"] else []
    elsewhere = live.used_elsewhere(directory)
    kept = current_release(directory) if directory else None  # that is with the first manager
    applied = [name for one in kept.parts.values() for name in one["containers"]] if kept else []
    missing = swarm_status.absent(services, stack, applied)
    lines = swarm_status.lines(swarm["nodes"], services, stack, elsewhere, missing)
    seen = status(stack, directory, lines if swarm["manager"] else ["This host is no manager of a Swarm."])
    document = swarm_status.document(swarm["nodes"], services, stack, elsewhere, missing)
    return swarm, seen, {**document, "paused": seen["paused"]}


def look_again(api: SwarmApi, stack: str, directory: str) -> Status:
    """Return what is seen while somebody watches, also while the managers choose a leader or the engine begins."""
    try:
        return look(api, stack, directory)[1]
    except OSError as error:
        return status(stack, directory, [silent(error)])


def status(stack: str, directory: str, lines: list[str]) -> Status:
    """Return what people are shown."""
    told = (*switches.lines(directory), *rollout_control.lines(directory), *run_lock.lines(directory))
    return {
        "stack": stack,
        "time": moment.text(),
        "paused": list(told if directory else ()),
        "problems": [],
        "guests": [],
        "containers": [],
        "open": [],
        "note": "",
        "lines": lines,
    }


def silent(error: OSError) -> str:
    """Say why nothing is known of the Swarm."""
    if isinstance(error, RefusedError):
        said = error.message.rstrip(".")
        return f"The Swarm does not answer: {said}. Without most of its managers it does not."
    return f"No Docker Engine answers: {error}"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack_name": {"type": "str", "required": True},
            "state_directory": {"type": "path", "default": ""},
            "watch": {"type": "bool", "default": False},
            "progress": {"type": "path", "default": ""},
            "watcher": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    options, api = module.params, SwarmApi()
    asked = options["stack_name"], options["state_directory"]
    try:
        if options["watch"]:
            watching.watch(options, lambda: look_again(api, *asked), module.warn, SECONDS)
        swarm, seen, document = look(api, *asked)
    except OSError as error:
        module.fail_json(msg=silent(error))
    more = {"document": document} if swarm["manager"] else {}
    lines = [*seen["paused"], *seen.get("lines", [])]
    module.exit_json(**more, changed=False, manager=swarm["manager"], lines=lines)


if __name__ == "__main__":
    main()
