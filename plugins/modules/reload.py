# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Have running containers read their files anew."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: reload
short_description: Have services read their files anew
version_added: 0.1.0
description:
  - Has the program of each service check the files that its container has mounted, in a throwaway container without
    network. Then the running container gets the signal to read them, and the module waits until it has done so.
  - No container is replaced or restarted, and no stream ends.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: Nothing is checked and no container gets a signal.}
  diff_mode: {support: none}
options:
  state_directory: {required: true}
  services:
    description: Services or containers, such as V(nginx). Each of them must declare the key C(reload).
    type: list
    elements: str
    required: true
  run:
    description: Who asks and why, as the fact C(this_run) of M(sse.platform.settings) says it.
    type: dict
    default: {}
  wait:
    description: For how many seconds to wait while another run changes the stack.
    type: int
    default: 0
  releases:
    description: >-
      What runs in a cluster. With it, the tasks on this host read their files, and the lock is with the caller.
    type: list
    elements: dict
  others:
    description: >-
      In a cluster, what other hosts have had read its files. It is given to the first manager, which keeps the history;
      without it, nothing is written there.
    type: list
    elements: str
  host:
    description: In a cluster, what the inventory calls this host.
    type: str
    default: this host
"""

EXAMPLES = r"""
- name: Have NGINX read its files anew
  sse.platform.reload:
    state_directory: /var/lib/sse-platform
    services: [nginx]
"""

RETURN = r"""
lines:
  description: One line for each container that was reloaded.
  returned: always
  type: list
  elements: str
names:
  description: The containers of this host that have read their files.
  returned: with O(releases)
  type: list
  elements: str
"""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import Node
from ansible_collections.sse.platform.plugins.module_utils.deploy.reload import Reloader, chosen
from ansible_collections.sse.platform.plugins.module_utils.deploy.rollout import lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.types import AttemptChange, Release
from ansible_collections.sse.platform.plugins.module_utils.releases.history import Recorder, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases, stack_number
from ansible_collections.sse.platform.plugins.module_utils.views import live


def reloaded(engine: Engine, directory: str, release: Release, name: str) -> str:
    """Have one container read its files anew; return a line about it."""
    labels = {"stack": release["stack"], "project": release["project"]}
    files = Files(directory, Store(directory, {}, release.get("secrets", {})))
    begun = time.monotonic()
    Reloader(engine, files, release["containers"], labels).again(name, name)
    return f"{name} has read its files anew ({time.monotonic() - begun:.1f} s); its connections go on"


def recorded(directory: str, run: dict[str, Any], each: list[tuple[Engine, str, Release, str]]) -> list[str]:
    """Have containers read their files anew, and write into the history how that went."""
    recorder = Recorder(directory, run_meta(run), stack_number(directory))
    changes: list[AttemptChange] = []
    lines: list[str] = []
    error = ""
    try:
        for one in each:
            begun = time.monotonic()
            lines.append(reloaded(*one))
            took = round(time.monotonic() - begun, 2)
            changes.append({"container": one[-1], "kind": "reload", "reasons": ["asked for"], "seconds": took})
    except (ApplyError, EngineError) as failure:
        error = str(failure)
        raise
    finally:
        recorder.end(recorder.attempt["before"], changes, [], error)
    return lines


def in_cluster(module: AnsibleModule) -> dict[str, Any]:
    """Have the tasks on this host read their files anew, and return what to tell."""
    options = module.params
    directory, others = options["state_directory"], options["others"]
    wanted = chosen(options["releases"], options["services"])
    if module.check_mode:
        return {"changed": False, "names": [], "lines": [f"{name} would read its files anew" for __, name in wanted]}
    specs = {name: release["containers"][name] for release, name in wanted}
    recorder = Recorder(directory, run_meta(options["run"]), stack_number(directory)) if others is not None else None
    names: list[str] = []
    error = ""
    try:
        names = Node(Engine(), directory, wanted[0][0]["stack"], specs).again() if wanted else []
    except (ApplyError, EngineError) as failure:
        error = str(failure)
        raise
    finally:
        if recorder:
            every = dict.fromkeys([*(others or ()), *names])
            changes = [AttemptChange(container=one, kind="reload", reasons=["asked for"], seconds=0.0) for one in every]
            recorder.end(recorder.attempt["before"], changes, [], error)
    lines = [f"{name} on {options['host']} has read its files anew; its connections go on" for name in names]
    return {"changed": bool(names), "names": names, "lines": lines}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "services": {"type": "list", "elements": "str", "required": True},
            "run": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
            "releases": {"type": "list", "elements": "dict"},
            "others": {"type": "list", "elements": "str"},
            "host": {"type": "str", "default": "this host"},
        },
        supports_check_mode=True,
    )
    options = module.params
    directory = options["state_directory"]
    try:
        if options["releases"] is not None:
            module.exit_json(**in_cluster(module))
        releases = newest_releases(directory)
        if not releases:
            module.fail_json(
                msg=f"There is no release in {directory}: nothing was deployed here. Run `./sse up` first."
            )
        wanted = chosen(releases, options["services"])
        if module.check_mode:
            module.exit_json(changed=False, lines=[f"{name} would read its files anew" for __, name in wanted])
        engine = Engine()
        with lock(directory, options["run"], options["wait"]):
            wanted = chosen(newest_releases(directory), options["services"])  # the run that it waited for may differ
            try:
                lines = recorded(directory, options["run"], [(engine, directory, *one) for one in wanted])
            finally:
                live.write(directory, Api())
        module.exit_json(changed=True, lines=lines)
    except (ApplyError, EngineError, SpecError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
