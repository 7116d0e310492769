# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have a host without a service manager start the engine at boot."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: boot
short_description: Have a host without a service manager start the engine at boot
version_added: 0.1.0
description:
  - Writes a block into the file of one method, and removes the block from the files of the others.
  - What others wrote into these files stays as it is.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full, details: "Nothing is written."}
  diff_mode: {support: none}
options:
  method:
    description:
      - V(cron) is a line C(@reboot) in C(/etc/cron.d), V(rc.local) a block in C(/etc/rc.local), V(wsl) the boot command
        of WSL2 in C(/etc/wsl.conf).
      - V(none) removes all of them.
    type: str
    choices: [none, cron, rc.local, wsl]
    required: true
"""

EXAMPLES = r"""
- name: Have cron start the engine at boot
  sse.platform.boot:
    method: cron
"""

RETURN = r"""
files:
  description: The files that changed.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.host import boot


def main() -> None:
    """Run the module."""
    choices = ["none", *sorted(boot.WAYS)]
    module = AnsibleModule(
        argument_spec={"method": {"type": "str", "choices": choices, "required": True}}, supports_check_mode=True
    )
    method = module.params["method"]
    if method != "none" and (why := boot.conflict(method, boot.HOST)):
        module.fail_json(msg=f"{why}. Nothing was changed")
    if module.check_mode:
        present = boot.observe()["present"]
        module.exit_json(changed=present != ([] if method == "none" else [method]), files=[])
    files = boot.write(method)
    module.exit_json(changed=bool(files), files=files)


if __name__ == "__main__":
    main()
