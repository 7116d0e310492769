# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Set up the timers of backups and verification on the host, or remove them."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_timer
short_description: Set up the timers of backups and verification on the host, or remove them
version_added: 0.2.0
description:
  - Writes a timer of systemd, or a file in C(/etc/cron.d) where systemd does not run, and the program that it starts.
  - One program makes a backup without the controller, keeps so many of them, and writes metrics about it. The other one
    verifies the stack, and writes what it has measured for Prometheus.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: A passphrase file that cannot be used is refused.}
  diff_mode: {support: none}
options:
  stack: {required: true}
  state_directory: {required: true}
  schedule:
    description: When backups are made, as C(backup_schedule) says. There is no timer where it is empty.
    type: str
    required: true
  verify_schedule:
    description: When the stack is verified, as C(verify_schedule) says. There is no such timer where it is empty.
    type: str
    default: ""
  directory:
    description: Where backups go.
    type: path
    required: true
  keep:
    description: How many backups stay.
    type: int
    required: true
  left_out:
    description: Services whose data are not in a backup.
    type: list
    elements: str
    default: []
  passphrase_file:
    description: A file of the host that holds the passphrase. Only root may read it.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Make a backup each night
  sse.platform.backup_timer:
    stack: sse
    state_directory: /var/lib/sse-platform
    schedule: daily 03:30
    directory: /var/backups/sse-platform
    keep: 7
    passphrase_file: /etc/sse-platform.passphrase
"""

RETURN = r"""
changes:
  description: The files that were written or removed, one line each.
  returned: always
  type: list
  elements: str
notes:
  description: What keeps the timer from running on this host.
  returned: always
  type: list
  elements: str
"""

import sys
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_timer, schedule
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup_job import Job
from ansible_collections.sse.platform.plugins.module_utils.verify import again


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "schedule": {"type": "str", "required": True},
            "verify_schedule": {"type": "str", "default": ""},
            "directory": {"type": "path", "required": True},
            "keep": {"type": "int", "required": True},
            "left_out": {"type": "list", "elements": "str", "default": []},
            "passphrase_file": {"type": "str", "default": "", "no_log": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        changes, notes = of_backups(options, check=module.check_mode)
        more, further = of_verification(options, check=module.check_mode)
    except BackupError as error:
        module.fail_json(msg=f"The timer of backups cannot be set up, and nothing was changed: {error}")
    except OSError as error:
        module.fail_json(
            msg=f"A timer cannot be set up on this host: {error}. What is written stays, and the next run goes on from "
            "there."
        )
    changes += more
    module.exit_json(changed=bool(changes), changes=changes, notes=notes + further)


def of_backups(options: dict[str, Any], *, check: bool) -> tuple[list[str], list[str]]:
    """Set up the timer of backups, or remove it; return what changed, and what keeps it from running."""
    timer = backup_timer.Timer(options["stack"], options["state_directory"])
    if not options["schedule"]:
        return timer.remove(check=check), []
    when = schedule.parse(options["schedule"])
    job: Job = {
        "stack": options["stack"],
        "state_directory": options["state_directory"],
        "directory": options["directory"],
        "keep": options["keep"],
        "left_out": options["left_out"],
        "passphrase_file": options["passphrase_file"],
        "period": when.seconds,
    }
    return timer.set_up(job, when, sys.executable, check=check), timer.notes()


def of_verification(options: dict[str, Any], *, check: bool) -> tuple[list[str], list[str]]:
    """The same for the timer of verification."""
    timer = backup_timer.HostTimer(options["stack"], options["state_directory"], backup_timer.VERIFY)
    if not options["verify_schedule"]:
        return timer.remove(check=check), []
    when = schedule.parse(options["verify_schedule"])
    job: again.Job = {
        "stack": options["stack"],
        "state_directory": options["state_directory"],
        "period": when.seconds,
    }
    return timer.install(job, when, sys.executable, check=check), timer.notes()


if __name__ == "__main__":
    main()
