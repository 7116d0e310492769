# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Hold the lock of a stack for a whole run, or give it back."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lock
short_description: Let only one run change a stack
version_added: 0.2.0
description:
  - Takes the lock of a stack for the rest of the run, and says who holds it where another run does.
  - A process on the host holds the lock. It ends with the process of the controller. Where the controller is another
    machine, it ends with O(state=absent), or when nothing of Ansible has run on the host for a minute. A later run of
    the same controller does not wait for a run that was killed.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: "In check mode nothing is locked."}
  diff_mode: {support: N/A, details: "A lock is no change."}
options:
  state_directory: {required: true}
  run:
    description: What the run says of itself, as the facts C(this_run) and C(this_controller) together.
    type: dict
    required: true
  wait:
    description: How many seconds to wait for another run.
    type: int
    default: 0
  state:
    description: V(present) takes the lock, V(absent) gives it back, V(awaited) only waits until no other run has it.
    type: str
    choices: [present, absent, awaited]
    default: present
"""

EXAMPLES = r"""
- name: Lock the stack
  sse.platform.lock:
    state_directory: /var/lib/sse-platform
    run: "{{ this_run | combine(this_controller) }}"
    wait: 60
"""

RETURN = r"""
give_back:
  description: Whether the run has to give the lock back, because its end cannot be seen on the host.
  returned: O(state=present)
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "run": {"type": "dict", "required": True},
            "wait": {"type": "int", "default": 0},
            "state": {"type": "str", "choices": ["present", "absent", "awaited"], "default": "present"},
        },
        supports_check_mode=True,
    )
    options = module.params
    if module.check_mode:
        module.exit_json(changed=False, give_back=False)
    if options["state"] == "absent":
        run_lock.give_back(options["state_directory"], options["run"])
        module.exit_json(changed=False)
    try:
        if options["state"] == "awaited":
            run_lock.wait(options["state_directory"], options["run"], options["wait"])
            module.exit_json(changed=False)
        far = run_lock.keep(options["state_directory"], options["run"], options["wait"])
    except run_lock.LockedError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, give_back=far)


if __name__ == "__main__":
    main()
