# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Look at data on one host of a cluster that several services may keep, and say who decides about them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: node_resize
short_description: Have others decide about data of services of a Swarm
version_added: 0.3.0
description:
  - Runs the program by which a role says who decides about the data of one of its services, and has others decide.
    Nothing of these services runs while that is changed.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "It changes data."}
options:
  state:
    description: >-
      V(looked) says what is there. V(taken) returns what others need to decide as well. V(given) makes that the data of
      the services in O(services), instead of what is there. V(decided) says who decides from now on.
    type: str
    choices: [looked, taken, given, decided]
    default: looked
  state_directory: {required: true}
  resize:
    description: One entry of the fact C(cluster.resizes), as M(sse.platform.cluster) returns it.
    type: dict
    required: true
  services:
    description: The services that are meant.
    type: list
    elements: str
    required: true
  taken:
    description: What V(taken) returned on the host of the first service.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Look at the data of this host
  sse.platform.node_resize:
    state_directory: /var/lib/sse-platform
    resize: "{{ cluster.resizes[0] }}"
    services: [sse-kafka]
"""

RETURN = r"""
seen:
  description: What is there of each service.
  returned: O(state=looked)
  type: dict
taken:
  description: What others need. It may hold secrets, so the task needs C(no_log).
  returned: O(state=taken)
  type: dict
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule


class ProgramError(Exception):
    """What the program of the role says."""


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "taken", "given", "decided"], "default": "looked"},
            "state_directory": {"type": "path", "required": True},
            "resize": {"type": "dict", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
            "taken": {"type": "dict", "default": {}, "no_log": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    resize, names = options["resize"], options["services"]
    places = {name: f"{options['state_directory']}/data/{name}/{resize['directory']}" for name in names}

    def run(do: str, name: str, **more: Any) -> dict[str, Any]:
        return asked(resize["program"], {"do": do, "data": places[name], **more})

    changes = options["state"] in {"given", "decided"}
    try:
        if options["state"] == "looked":
            module.exit_json(changed=False, seen={name: looked(run("look", name), places[name]) for name in names})
        if options["state"] == "taken":
            module.exit_json(changed=False, taken=run("take", names[0]))
        for name in [] if module.check_mode else names:
            if options["state"] == "given":
                number = resize["members"].index(name) + 1
                run("give", name, taken=options["taken"], number=number, decides=resize["decides"])
            else:
                run("decide", name, decides=resize["decides"])
    except ProgramError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changes and bool(names))


def looked(found: dict[str, Any], place: str) -> dict[str, Any]:
    """Return what the program sees, and the disk."""
    there = Path(place)
    while not there.exists():
        there = there.parent
    disk = os.statvfs(there)
    return {
        "decides": "",
        "members": [],
        "cluster": "",
        "kept": False,
        "bytes": 0,
        "needed": 0,
        **found,
        "free": disk.f_bavail * disk.f_frsize,
    }


def asked(program: str, question: dict[str, Any]) -> dict[str, Any]:
    """Run the program of the role.

    :raises ProgramError: with the sentence that it gives
    """
    command = [sys.executable, "-I", "-c", program]
    ended = subprocess.run(
        command, input=json.dumps(question), capture_output=True, text=True, check=False, env={}, cwd="/"
    )
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["the program failed and wrote nothing"]
        raise ProgramError(f"{question['data']}: {lines[-1]}")
    return json.loads(ended.stdout)


if __name__ == "__main__":
    main()
