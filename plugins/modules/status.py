# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Show the containers of a stack on one screen."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: status
short_description: Show the containers of a stack
version_added: 0.1.0
description:
  - Lists each container that runs or should run, with its health, address, ports, image, restarts, uptime and release.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack
  - sse.platform.stack.directory
options:
  stack: {required: true}
  state_directory: {required: true}
  watch:
    description: Look again and again, and tell each time, until the file O(progress) is gone or O(watcher) has ended.
    type: bool
    default: false
  progress:
    description: >-
      A file of the host into which the module writes what it sees with O(watch=true), one JSON document a line. The
      action of this module makes it where a callback reads it.
    type: path
    default: ""
  watcher:
    description: The process on this host that reads O(progress); 0 where it is on another host.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Look at the stack
  sse.platform.status:
    stack: sse
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
containers:
  description: One entry for each container, as C(./sse status --json) shows it.
  returned: always
  type: list
  elements: dict
releases:
  description: For each project the newest release that was applied, or the newest one when none was applied.
  returned: always
  type: list
  elements: dict
status:
  description: >-
    C(stack), C(time), what is C(paused), which C(problems) services say they have, which C(guests) are on networks of
    the stack, the C(containers), where people C(open) what runs, and a C(note) where nothing runs.
  returned: always
  type: dict
document:
  description: The same, for C(./sse status --json).
  returned: always
  type: dict
"""


from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import guests, rollout_control, run_lock, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model import moment
from ansible_collections.sse.platform.plugins.module_utils.model.release import opened, opened_at
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.types import StoredRelease
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.views import watching
from ansible_collections.sse.platform.plugins.module_utils.views.status import (
    Watcher,
    nothing_runs,
    observe,
    said,
    stacks,
)
from ansible_collections.sse.platform.plugins.module_utils.views.status_table import Status

SECONDS = 2.0  # between two looks


def look(watcher: Watcher, directory: str, *, first: bool) -> tuple[Status, list[StoredRelease]]:
    """Return what is seen of a stack now."""
    releases = newest_releases(directory)
    found = observe(watcher, releases) if first else watcher.look(releases)
    seen: Status = {
        "stack": watcher.stack,
        "time": moment.text(),
        "paused": [
            *switches.lines(directory),
            *rollout_control.lines(directory),
            *run_lock.lines(directory),
        ],
        "problems": said(found, releases),
        "guests": guests.lines(watcher.engine, releases, watcher.stack),
        "containers": found,
        "open": opened(releases),
        "note": "" if found else nothing_runs(watcher.stack, stacks(watcher.engine)),
    }
    return seen, releases


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "watch": {"type": "bool", "default": False},
            "progress": {"type": "path", "default": ""},
            "watcher": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    options = module.params
    directory = options["state_directory"]
    try:
        watcher = Watcher(Engine(), options["stack"], LoadedStore(directory))
        if options["watch"]:
            firsts = iter([True])
            watching.watch(
                options, lambda: look(watcher, directory, first=next(firsts, False))[0], module.warn, SECONDS
            )
        seen, releases = look(watcher, directory, first=True)
    except (EngineError, SpecError) as error:
        module.fail_json(msg=str(error))
    document = {**seen, "open": opened_at(releases)}
    del document["note"]
    module.exit_json(changed=False, containers=seen["containers"], releases=releases, status=seen, document=document)


if __name__ == "__main__":
    main()
