# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have services of a Swarm run or stand still for a while, on a manager."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: swarm_tasks
short_description: Start and stop services of a Docker Swarm
version_added: 0.3.0
description:
  - Stops services one after the other, or starts them, and waits for that. The next M(sse.platform.swarm_services) with
    O(sse.platform.swarm_services#module:state=present) brings them to what they should be. Services that are not there
    are left out.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: full}
  diff_mode: {support: N/A, details: "Nothing but the number of tasks changes."}
options:
  state:
    description: V(looked) says how many tasks should run, and how many do.
    type: str
    choices: [looked, started, stopped]
    default: looked
  services:
    description: Their names, in the order in which they are stopped. V(looked) looks at all.
    type: list
    elements: str
    default: []
  complete:
    description: >-
      With V(stopped), one of them that has everything that the others have. It says so until it is started, so that a
      later run knows it although none of them runs.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Stop a service
  sse.platform.swarm_tasks:
    state: stopped
    services: [sse-kafka]
"""

RETURN = r"""
tasks:
  description: For each service that is there, how many tasks should run, and how many do.
  returned: O(state=looked)
  type: dict
complete:
  description: The services that stand still and have everything that others have which keep copies with them.
  returned: O(state=looked)
  type: list
  elements: str
of:
  description: For each service that is there, its stack and the role that declared it; empty for those of others.
  returned: O(state=looked)
  type: dict
"""

import copy
import time

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.engine.swarm_api import SwarmApi
from ansible_collections.sse.platform.plugins.module_utils.model.observed import LABEL
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import COMPLETE_LABEL, ObservedService
from ansible_collections.sse.platform.plugins.module_utils.model.swarm_services import SWARM_LABEL

SECONDS = 240.0  # that one of them may take; a task that is stopped may take a minute to end


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["looked", "started", "stopped"], "default": "looked"},
            "services": {"type": "list", "elements": "str", "default": []},
            "complete": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options, api = module.params, SwarmApi()
    changed = False
    try:
        present = {one.name: one for one in services(api, may_lack=module.check_mode)}
        if options["state"] == "looked":
            tasks = {one.name: (one.wanted, sum(one.running.values())) for one in present.values()}
            of = {one.name: whose(one) for one in present.values()}
            complete = [one.name for one in present.values() if one.stands_complete]
            module.exit_json(changed=False, tasks=tasks, of=of, complete=complete)
        there = [present[name] for name in options["services"] if name in present]
        wanted = int(options["state"] == "started")
        for one in there:
            differs = one.wanted != wanted
            changed = changed or differs
            if differs and not module.check_mode:
                api.change(one.id, with_tasks(one, wanted, complete=not wanted and one.name == options["complete"]))
            if wanted == 0 and not module.check_mode:
                wait(api, one.name, wanted)
        for one in there if wanted and not module.check_mode else []:
            wait(api, one.name, wanted)
    except RefusedError as error:
        module.fail_json(msg=f"The Swarm refuses: {error.message}")
    except TimeoutError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"No Docker Engine answers: {error}")
    module.exit_json(changed=changed)


def services(api: SwarmApi, *, may_lack: bool) -> list[ObservedService]:
    """Return what there is.

    :param may_lack: whether there may be no engine or no Swarm yet, because a preview comes before them
    """
    try:
        return api.services()
    except (OSError, RefusedError):
        if not may_lack:
            raise
        return []


def whose(one: ObservedService) -> tuple[str, str]:
    """Return the stack of a service and the role that declared it, as its containers are labelled."""
    labels: dict[str, str] = one.container.get("Labels") or {}
    return labels.get(SWARM_LABEL, ""), labels.get(f"{LABEL}service", "")


def with_tasks(one: ObservedService, count: int, *, complete: bool = False) -> dict[str, object]:
    """Return what a service was asked for, with another number of tasks.

    :param complete: whether it has everything while it stands still
    """
    request = copy.deepcopy(one.request)
    labels = {key: value for key, value in one.labels.items() if key != COMPLETE_LABEL}
    request["Labels"] = labels | ({COMPLETE_LABEL: "true"} if complete else {})
    request["Mode"] = {"Replicated": {"Replicas": count}}
    return request


def wait(api: SwarmApi, name: str, count: int) -> None:
    """Wait until that many tasks run, and no other one.

    :raises TimeoutError: they do not get there
    """
    until = time.monotonic() + SECONDS
    while True:
        found = next((one for one in api.services() if one.name == name), None)
        runs = 0 if found is None else sum(found.running.values()) + found.ending
        if runs == count:
            return
        if time.monotonic() > until:
            raise TimeoutError(f"{name}: {runs} tasks run after {SECONDS:.0f} s, and not {count}")
        time.sleep(0.5)


if __name__ == "__main__":
    main()
