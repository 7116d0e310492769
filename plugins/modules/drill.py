# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The throwaway stack in which a backup is tried: mark it, compare its log with its streams, remove it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: drill
short_description: Mark, verify and remove the throwaway stack in which a backup is tried
version_added: 0.2.0
description:
  - A drill restores a backup into a second stack, which exists for some minutes.
  - The file C(drill) in its state directory says that the stack is one of a drill. A stack without it is never removed.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: Nothing is done.}
  diff_mode: {support: none}
options:
  state:
    description:
      - V(absent) removes a stack that a drill made, with its data and networks. It does nothing where there is none.
      - V(begun) marks the state directory.
      - V(verified) resumes every event of the log by its id, and compares.
    type: str
    required: true
    choices: [absent, begun, verified]
  stack: {required: true}
  state_directory: {required: true}
  declared:
    description: What a service declares under C(drill).
    type: dict
  key:
    description: An API key that may subscribe to everything.
    type: str
    default: ""
  begun:
    description: When the drill began, in seconds since 1970.
    type: float
    default: 0
  source:
    description: The backup, for the summary.
    type: str
    default: ""
  run:
    description: Who runs this, for the lock of the stack.
    type: dict
    default: {}
  wait:
    description: How many seconds to wait for another drill.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Remove what a killed drill left
  sse.platform.drill:
    state: absent
    stack: sse-drill
    state_directory: /var/lib/sse-platform-drill
"""

RETURN = r"""
lines:
  description: What was verified, for people.
  returned: O(state=verified)
  type: list
  elements: str
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import drill
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify import resumes
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running

EXPECTED = (*drill.EXPECTED, EngineError, SpecError, resumes.ResumeError, OSError)


def verified(module: AnsibleModule) -> dict[str, object]:
    """Compare the log with the streams."""
    options = module.params
    directory = options["state_directory"]
    running = Running(Engine(), directory, newest_releases(directory))
    declared = resumes.PARSE(options["declared"], "drill")
    listed = resumes.verify(running, declared, options["key"])
    repeated = f" {len(listed.repeated)} repeated ones came once." if listed.repeated else ""
    resumed = (
        f"{listed.events} events of {len(listed.by_channel)} channels were in its log. A client that resumed after the "
        f"first of each channel got every other one once, in order and under its id.{repeated}"
    )
    seconds = time.time() - options["begun"]
    return {
        "changed": False,
        "lines": [
            f"The backup is good: {options['source']}",
            resumed,
            f"The drill took {seconds:.0f} s. Its stack {options['stack']} is removed again.",
        ],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["absent", "begun", "verified"]},
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "declared": {"type": "dict"},
            "key": {"type": "str", "default": "", "no_log": True},
            "begun": {"type": "float", "default": 0},
            "source": {"type": "str", "default": ""},
            "run": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
        },
        required_if=[("state", "verified", ["declared"])],
        supports_check_mode=True,
    )
    options = module.params
    if module.check_mode:
        module.exit_json(changed=False, lines=[])
    try:
        if options["state"] == "verified":
            module.exit_json(**verified(module))
        elif options["state"] == "begun":
            drill.mark(Path(options["state_directory"]))
        else:
            drill.remove(options["stack"], options["state_directory"], options["run"], options["wait"])
    except EXPECTED as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False)


if __name__ == "__main__":
    main()
