# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Pause something, or end a pause."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pause
short_description: Pause publishing or a rollout, or end a pause
version_added: 0.2.0
description:
  - While publishing is paused, every replica answers a publish with 503 and C(Retry-After). Streams go on.
  - While a rollout is paused, the run waits between two steps.
  - A pause is a file on the host that the replicas look at. It needs no engine, and it outlives restarts.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
options:
  state_directory: {required: true}
  what:
    description: What to pause or to resume, V(publishing) or V(rollout).
    type: str
    required: true
  state:
    description: >-
      V(present) pauses, V(absent) ends the pause. V(aborted) has a rollout go back. V(copied) pauses here what another
      host of the cluster has paused, and nothing else.
    type: str
    choices: [present, absent, aborted, copied]
    default: present
  several:
    description: Whether the stack is one of several hosts, each of which needs the same files.
    type: bool
    default: false
  files:
    description: For V(copied), what the first manager returned.
    type: dict
    default: {}
  run:
    description: Who asks and why, as the fact C(this_run) of M(sse.platform.settings) says it.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Pause publishing
  sse.platform.pause:
    state_directory: /var/lib/sse-platform
    what: publishing
    run: "{{ this_run }}"
"""

RETURN = r"""
lines:
  description: What is paused now, by whom and since when.
  returned: always
  type: list
  elements: str
files:
  description: The files of the pause, for further hosts. One is a password, so the task needs C(no_log).
  returned: O(several=true), not in check mode
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout_control, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import file_refused
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases, stack_number
from ansible_collections.sse.platform.plugins.module_utils.views import live

ROLLOUT = "rollout"
WANTED: dict[str, rollout_control.State] = {"present": "paused", "absent": "resumed", "aborted": "aborted"}


def switched(module: AnsibleModule) -> tuple[bool, list[str]]:
    """Do what the module is asked for; return whether it changed anything, and what to say."""
    options = module.params
    directory, wanted = options["state_directory"], options["state"] == "present"
    what = switches.choose(options["what"], [switches.PUBLISHING, ROLLOUT])
    if what == ROLLOUT:
        return rollout_told(module, directory, options["state"])
    switches.refuse_unknown(newest_releases(directory), directory)
    before = switches.read(directory, what)
    if bool(before) == wanted:
        return False, [before.line] if before else [f"{what} is not paused, so nothing was done"]
    if module.check_mode:
        return True, [f"{what} would be {'paused' if wanted else 'resumed'}"]
    number = stack_number(directory)
    recorder = Recorder(directory, run_meta(options["run"]), number)
    if wanted:
        switches.pause(directory, what, options["run"])
    else:
        switches.resume(directory, what)
    recorder.end(number, [], [f"{what} was {'paused' if wanted else 'resumed'}"])
    if not options["several"]:  # the control room of a cluster says on which host everything runs, too
        live.write(directory, Api())
    if wanted:
        return True, [*switches.lines(directory), "Every publish gets 503 with Retry-After now. Streams go on."]
    return True, [f"{what} goes on. It was paused" + (f" by {before.who} since {before.since}" if before else "")]


def rollout_told(module: AnsibleModule, directory: str, state: str) -> tuple[bool, list[str]]:
    """Tell the run that changes the stack what to do; return whether that is new, and what to say."""
    wanted = WANTED[state]
    found = rollout_control.give(directory, wanted, module.params["run"], check=module.check_mode)
    is_new = found["since"] == str(module.params["run"].get("when", ""))
    if module.check_mode:
        return is_new, [
            f"the rollout would be {wanted}" if is_new else f"the rollout was {rollout_control.told(found)}"
        ]
    lines = {
        "paused": "The run ends the step that it is at, and then waits. `./sse resume rollout` lets it go on, and "
        "`./sse abort` brings back what it replaced.",
        "resumed": "The rollout goes on.",
        "aborted": "The run ends the step that it is at, and brings back what it replaced. It says so on its screen.",
    }
    return is_new, [f"The rollout was {rollout_control.told(found)}.", lines[found["state"]]]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "what": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent", "aborted", "copied"], "default": "present"},
            "several": {"type": "bool", "default": False},
            "files": {"type": "dict", "default": {}, "no_log": True},
            "run": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    directory = module.params["state_directory"]
    try:
        if module.params["state"] == "copied":
            lines = switches.keep(directory, module.params["files"], check=module.check_mode)
            module.exit_json(changed=bool(lines), lines=lines)
        changed, lines = switched(module)
    except (switches.SwitchError, rollout_control.ControlError, SpecError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))
    more: dict[str, Any] = {}
    if module.params["several"] and module.params["what"] == switches.PUBLISHING and not module.check_mode:
        module.no_log_values = set[str]()  # the task has no_log
        more = {"files": switches.kept(directory)}
    module.exit_json(changed=changed, lines=lines, **more)


if __name__ == "__main__":
    main()
