# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Give a secret of a stack a new value while it runs."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rotate
short_description: Give a secret of a stack a new value while it runs
version_added: 0.1.0
description:
  - Makes a new value, and has everything that runs take it. A container whose service can take it while it runs is not
    replaced; the others are replaced one after the other, as M(sse.platform.stack) does it.
  - Verifies that the new value works. Where the service has a program for it, also that the old one does not.
  - Where that fails, the old value comes back.
  - In a cluster, M(sse.platform.swarm_services) and M(sse.platform.node_reload) hand the values out, and this module
    does what is done on one host alone.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: none}
options:
  state:
    description: >-
      V(rotated) does all of it, on one host. The others are for a cluster. On its first manager, V(chosen) only says
      what would get a new value, V(begun) writes new values, beside the old ones where both may count for a while, and
      V(narrowed) writes the new ones alone. V(put_back) writes those that RV(old) of V(begun) holds. V(refused) expects
      on each host that the replicas there refuse the old values, and V(taking) returns which containers have to take
      them while they run, and which of those do run there.
    type: str
    choices: [rotated, chosen, begun, narrowed, put_back, refused, taking]
    default: rotated
  state_directory: {required: true}
  secret:
    description: >-
      Name of the secret, as its file in the directory C(secrets) of the state directory is called; C(all) stands for
      every secret that can be rotated, one after the other. Needed with V(rotated), V(chosen) and V(begun).
    type: str
  releases:
    description: What runs in a cluster.
    type: list
    elements: dict
    default: []
  names:
    description: For V(narrowed), the secrets of which the new value alone is to count. For V(taking), all of them.
    type: list
    elements: str
    default: []
  old:
    description: For V(put_back) and V(refused), the values that secrets had, by name.
    type: dict
    default: {}
  keep_old:
    description: >-
      The old value stays valid beside the new one until the secret is rotated again. Only some secrets allow that, such
      as keys that sign.
    type: bool
    default: false
  secrets:
    description: Secrets of your own, by name. They are not rotated, but handed to containers that are replaced.
    type: dict
    default: {}
  parallel:
    description: How many containers to work on at once.
    type: int
    default: 4
  keep_releases:
    description: How many releases stay on the host.
    type: int
    default: 5
  meta:
    description: Who asked for the run, and what for. The history keeps it.
    type: dict
    default: {}
  wait:
    description: How many seconds to wait for another run that changes this stack.
    type: int
    default: 0
"""

EXAMPLES = r"""
- name: Change a password
  sse.platform.rotate:
    state_directory: /var/lib/sse-platform
    secret: grafana_admin_password
"""

RETURN = r"""
lines:
  description: What was done, and what was verified.
  returned: always
  type: list
  elements: str
names:
  description: The secrets that get new values.
  returned: O(state=chosen), O(state=begun)
  type: list
  elements: str
needed:
  description: The containers that have to take the new values while they run.
  returned: O(state=taking)
  type: list
  elements: str
running:
  description: Those of them that run on this host.
  returned: O(state=taking)
  type: list
  elements: str
both:
  description: Those of them of which the old value counts still.
  returned: O(state=begun)
  type: list
  elements: str
old:
  description: The values from before, by name. The task needs C(no_log).
  returned: O(state=begun)
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import node_told, rollout, rotation, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError, file_refused
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError, Store
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import FirewallError
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.history import run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify.old_keys import refused, refused_in_tasks
from ansible_collections.sse.platform.plugins.module_utils.verify.one_replica import verify_replica
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import verify_stack
from ansible_collections.sse.platform.plugins.module_utils.views import live

READY_SECONDS = 30.0  # that replicas have after a change, before they are verified


def rotated(module: AnsibleModule) -> dict[str, Any]:
    """Rotate, verify the stack, and return what to tell. What another run changes is read when that run is over."""
    options = module.params
    if module.check_mode:
        return rotated_alone(module)
    with rollout.lock(options["state_directory"], options["meta"], options["wait"]):
        return rotated_alone(module)


def rotated_alone(module: AnsibleModule) -> dict[str, Any]:
    """Do what `rotated` says while no other run changes the stack."""
    options = module.params
    directory, name = options["state_directory"], options["secret"]
    releases = [rotation.plain(one) for one in newest_releases(directory)]
    if not releases:
        raise ApplyError(f"There is no release in {directory}: nothing was deployed here. Run `./sse up` first.")
    names = rotation.asked(releases, name, options["secrets"], directory, keep_old=options["keep_old"])
    if module.check_mode:
        return {"changed": bool(names), "lines": [f"{one} would get a new value" for one in names]}
    request = rollout.Request(
        releases=releases,
        state_directory=directory,
        secrets=options["secrets"],
        services=[],
        parallel=options["parallel"],
        meta=run_meta(options["meta"]),
        check=False,
        keep=options["keep_releases"],
        run=options["meta"],
        wait=options["wait"],
        verify=lambda release, replica: verify_replica(Engine(), directory, release, replica),
        same_images=True,
    )
    rotations = list(rotation.rotate_each(request, names, keep_old=options["keep_old"]))
    run_lock.say_over(directory)
    verified = verify_stack(directory, newest_releases(directory), READY_SECONDS).report()
    for problem in live.write(directory, Api()):
        module.warn(problem)
    if verified["findings"]:
        have = "has a new value" if len(names) == 1 else "have new values"
        module.fail_json(msg=f"{', '.join(names)} {have}, but verification failed: {verified['msg']}")
    running, lines = Running(Engine(), directory, newest_releases(directory)), list[str]()
    for one, old, done in rotations:
        lines += [*done.splitlines(), *(f"  {told}" for told in (refused(running, one, old) if old else ()))]
    return {"changed": bool(names), "lines": [*lines, verified["msg"]]}


def in_cluster(module: AnsibleModule) -> dict[str, Any]:
    """Do one step of a rotation on several hosts, and return what to tell."""
    options = module.params
    state, directory, releases = options["state"], options["state_directory"], options["releases"]
    if state == "refused":
        return {"changed": False, "lines": refused_in_tasks(Engine(), releases, options["old"])}
    if state == "taking":
        needed = rotation.takers(releases, options["names"])
        stacks, engine = dict.fromkeys(one["stack"] for one in releases), Engine()
        running = [name for stack in stacks for name, __ in node_told.running(engine, stack) if name in needed]
        return {"changed": False, "lines": [], "needed": needed, "running": running}
    store = Store(directory, options["secrets"], rotation.declared(releases))
    if state == "put_back":
        rotation.put_back(store, options["old"])
        return {"changed": True, "lines": []}
    if state == "narrowed":
        rotation.narrow(store, options["names"])
        return {"changed": True, "lines": []}
    names = rotation.asked(releases, options["secret"], options["secrets"], directory, keep_old=options["keep_old"])
    if state == "chosen" or module.check_mode:
        return {"changed": bool(names), "lines": [f"{one} would get a new value" for one in names], "names": names}
    old = rotation.kept(store, names)
    try:
        both = rotation.begin(store, names, keep_old=options["keep_old"])
    except Exception:
        rotation.put_back(store, old)
        raise
    module.no_log_values = set[str]()  # Ansible would take given secrets out of it; the task has `no_log`
    return {"changed": True, "lines": [], "names": names, "both": both, "old": old, "invocation": {}}


def main() -> None:
    """Run the module."""
    states = ("rotated", "chosen", "begun", "narrowed", "put_back", "refused", "taking")
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": list(states), "default": "rotated"},
            "state_directory": {"type": "path", "required": True},
            "secret": {"type": "str", "no_log": False},
            "releases": {"type": "list", "elements": "dict", "default": []},
            "names": {"type": "list", "elements": "str", "default": []},
            "old": {"type": "dict", "default": {}, "no_log": True},
            "keep_old": {"type": "bool", "default": False},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "parallel": {"type": "int", "default": 4},
            "keep_releases": {"type": "int", "default": 5},
            "meta": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
        },
        required_if=[("state", state, ["secret"]) for state in ("rotated", "chosen", "begun")],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**(rotated if module.params["state"] == "rotated" else in_cluster)(module))
    except (ApplyError, EngineError, FirewallError, SecretError, SpecError, ValueError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))


if __name__ == "__main__":
    main()
