# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Make the containers of each project as its release says, or remove a whole stack."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stack
short_description: Run a release of containers
version_added: 0.1.0
description:
  - Plans the steps from what runs to the release, and carries them out in one process.
  - Works on several containers at once, in the order of their dependencies. Replaces replicas one at a time, and waits
    until each new one is healthy. When a new container fails, the old one comes back.
  - A chain of firewall rules allows only the connections that the releases declare. C(DOCKER-USER) calls this chain.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
options:
  state:
    description: V(present) runs the release. V(absent) removes everything of the stack except its
      data; it fails where nothing of the stack is there.
    type: str
    choices: [present, absent]
    default: present
  releases:
    description: >-
      One release for each project, as M(sse.platform.release) builds them. They run one after the other. Required for
      O(state=present).
    type: list
    elements: dict
  stack:
    description: Name of the stack to remove. Required for O(state=absent).
  state_directory: {required: true}
  secrets:
    description: Secrets of your own, by name. The host makes the other secrets when they are first needed.
    type: dict
    default: {}
  services:
    description: Change only these services. Everything else stays as it was. An empty list means all services.
    type: list
    elements: str
    default: []
  parallel:
    description: How many containers to work on at once.
    type: int
    default: 4
  meta:
    description: >-
      Who asked for the run, and what for, as the fact C(this_run) of M(sse.platform.settings) says it. The history
      and the release store keep it.
    type: dict
    default: {}
  networks_to_make:
    description: Names of the networks that a run makes. Check mode takes them as absent.
    type: list
    elements: str
    default: []
  keep_releases:
    description: How many releases stay on the host with their images. Older ones are removed after the run.
    type: int
    default: 5
  images:
    description: >-
      The references of all images that a run of this stack can need, as M(sse.platform.images) returns them. Images
      that an earlier run of this stack needed, and that no stack of the host needs now, are removed. An empty list
      removes none.
    type: list
    elements: str
    default: []
  rollback:
    description: >-
      The number of the earlier release that O(releases) are. Their containers get the very images that they had, by id.
      0 stands for no rollback.
    type: int
    default: 0
  at_once:
    description: How many replicas of a service are replaced at the same time.
    type: int
    default: 1
  canary:
    description: >-
      How to watch the first replica of each service that is replaced: C(seconds), where 0 stands for not at all,
      C(watches) of the services and those of the C(setting), which are Prometheus expressions with limits, and
      C(metrics) as services declare them.
    type: dict
    default: {}
  wait:
    description: How many seconds to wait for another run that changes this stack.
    type: int
    default: 0
  streams:
    description: >-
      In check mode, whose streams are counted. Each entry has C(targets), C(path), and in C(streams) the name of the
      metric that counts them, as services declare it in C(metrics).
    type: list
    elements: dict
    default: []
  verify:
    description: With O(state=present), verify the whole stack afterwards as M(sse.platform.verify) does.
    type: bool
    default: false
  progress:
    description: >-
      A file of the host into which the module writes what it does while it does it, one JSON document a line. The
      action of this module makes it where a callback reads it.
    type: path
    default: ""
  delete_data:
    description: With O(state=absent), also delete data, secrets and releases. They cannot be restored.
    type: bool
    default: false
  may_be_missing:
    description: With O(state=absent), whether it is no error that nothing of the stack is on the host.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Run the release
  sse.platform.stack:
    releases: "{{ releases }}"
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
outcomes:
  description: For each project the number of its release, the steps with their reasons, and how long each phase took.
  returned: O(state=present)
  type: list
  elements: dict
changes:
  description: What was done with its reasons, one line each. In check mode, what would be done.
  returned: O(state=present)
  type: list
  elements: str
paused:
  description: What an operator has paused, one line each.
  returned: O(state=present)
  type: list
  elements: str
experience:
  description: How many seconds each step took when it was done last, by its kind and its container.
  returned: in check mode
  type: dict
streams:
  description: How many streams each container that would change holds, where O(streams) says how to count them.
  returned: in check mode
  type: dict
verified:
  description: What M(sse.platform.verify) would return.
  returned: O(verify=true), outside of check mode
  type: dict
removed:
  description: Names of the removed containers.
  returned: O(state=absent)
  type: list
  elements: str
removed_networks:
  description: Names of the removed networks.
  returned: O(state=absent)
  type: list
  elements: str
kept_networks:
  description: Networks that stay because other containers use them, with the names of these containers.
  returned: O(state=absent)
  type: dict
"""

from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import removal, rollout, run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import file_refused
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import FirewallError
from ansible_collections.sse.platform.plugins.module_utils.deploy.streams import open_streams
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.host import kept_code
from ansible_collections.sse.platform.plugins.module_utils.host.progress import Progress
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.types import CanaryWatch
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts, experience, run_meta
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify import canary as canaries
from ansible_collections.sse.platform.plugins.module_utils.verify.one_replica import verify_replica
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import verify_stack
from ansible_collections.sse.platform.plugins.module_utils.views import live

EXPECTED = (
    *(ApplyError, EngineError, FirewallError, ForeignContainerError, SecretError, SpecError),
    removal.NoStackError,
)
READY_SECONDS = 30.0  # that replicas have after a change, before they are verified


def present(module: AnsibleModule) -> None:
    """Roll out every project, one after the other, and verify them; in check mode only plan."""
    options = module.params
    if module.check_mode:
        roll_out(module)
    with rollout.lock(options["state_directory"], options["meta"], options["wait"]):  # nobody changes what is verified
        roll_out(module)


def roll_out(module: AnsibleModule) -> NoReturn:
    """Do what `present` says, and end the module."""
    options = module.params
    directory = options["state_directory"]
    progress = Progress("" if module.check_mode else options["progress"])
    request = rollout.Request(
        releases=options["releases"],
        state_directory=directory,
        secrets=options["secrets"],
        services=options["services"],
        parallel=options["parallel"],
        meta=run_meta(options["meta"]),
        check=module.check_mode,
        run=options["meta"],
        wait=options["wait"],
        networks_to_make=set(options["networks_to_make"]) if module.check_mode else set(),
        keep=options["keep_releases"],
        images=options["images"],
        rollback=options["rollback"],
        at_once=options["at_once"],
        verify=lambda release, name: verify_replica(Engine(), directory, release, name),
        canary=canary_of(options),
        tell=progress.tell,
    )
    report = rollout.Report()
    try:
        rollout.run(request, report)
    except EXPECTED as error:
        report.record(str(error))
        show(module)
        module.fail_json(msg=str(error) if module.check_mode else report.failure(error), **result_of(report))
    if report.stale:
        module.warn(
            f"The settings of {', '.join(report.stale)} changed, too, and this run leaves them as they are: "
            f"./sse up --tags {','.join([*options['services'], *report.stale])} includes them."
        )
    result = result_of(report)
    if module.check_mode:
        result |= foreseen(options, result)
    if options["verify"] and not module.check_mode:
        run_lock.say_over(directory)
        patience = READY_SECONDS if result["changed"] else 0
        progress.tell(doing="verifying that everything works")
        result["verified"] = verified = verify_stack(directory, newest_releases(directory), patience).report()
        if verified["findings"]:
            failed = f"The release runs, but verification failed: {verified['msg']}"
            report.record(failed)
            show(module)
            module.fail_json(msg=failed, **result)
    report.record()
    show(module)
    module.exit_json(**result)


def show(module: AnsibleModule) -> None:
    """Have the dashboard show what this run has made of the stack; check mode writes nothing."""
    if not module.check_mode:
        for problem in live.write(module.params["state_directory"], Api()):
            module.warn(problem)


def canary_of(options: dict[str, Any]) -> CanaryWatch | None:
    """Return what watches the first replica; None where nothing is to be watched.

    :raises ApplyError: the replica could not be judged
    """
    asked = options["canary"]
    if not (seconds := canaries.seconds_of(asked)):
        return None
    canary = canaries.Canary(canaries.watches_of(asked), asked["metrics"], seconds)
    directory = options["state_directory"]
    canary.refuse(Running(Engine(), directory, newest_releases(directory)))
    return canary.watch


def foreseen(options: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """Return what is known of the steps that a run would take."""
    changing = {one["container"] for outcome in result["outcomes"] for one in outcome["actions"]}
    containers = {name: one for release in options["releases"] for name, one in release["containers"].items()}
    return {
        "experience": experience(attempts(options["state_directory"])),
        "streams": open_streams(options["streams"], containers, changing),
    }


def result_of(report: rollout.Report) -> dict[str, Any]:
    """Return what the module says of a run."""
    return {
        "invocation": {},  # else the answer would repeat the releases
        "changed": bool(report.changes),
        "changes": report.changes,
        "paused": report.paused,
        "outcomes": [
            {
                "project": outcome.project,
                "number": outcome.number,
                "containers": len(outcome.actions),
                "actions": [
                    {"kind": one.kind, "container": one.container, "reasons": one.reasons}
                    for one in outcome.actions
                    if one.changes
                ],
                "seconds": outcome.seconds,
            }
            for outcome in report.outcomes
        ],
        "diff": {"prepared": "".join(outcome.diff for outcome in report.outcomes)},
    }


def absent(module: AnsibleModule) -> None:
    """Remove every container of the stack."""
    options = module.params
    try:
        removed = removal.tear_down(
            options["stack"],
            options["state_directory"],
            options["parallel"],
            delete_data=options["delete_data"],
            check=module.check_mode,
            run=options["meta"],
            wait=options["wait"],
        )
    except removal.NoStackError:
        if not options["may_be_missing"]:
            raise
        removed = removal.Removed([], [], {})
    if (
        options["delete_data"]
        and not module.check_mode
        and not any(one.label("stack") for one in Engine().containers())
    ):
        kept_code.forget()
    module.exit_json(
        changed=bool(removed.containers or removed.networks or (options["delete_data"] and removed.state)),
        removed=removed.containers,
        removed_networks=removed.networks,
        kept_networks=removed.kept,
        elsewhere=removed.elsewhere,
    )


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "releases": {"type": "list", "elements": "dict"},
            "stack": {"type": "str"},
            "state_directory": {"type": "path", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "services": {"type": "list", "elements": "str", "default": []},
            "parallel": {"type": "int", "default": 4},
            "meta": {"type": "dict", "default": {}},
            "at_once": {"type": "int", "default": 1},
            "canary": {"type": "dict", "default": {}},
            "wait": {"type": "int", "default": 0},
            "networks_to_make": {"type": "list", "elements": "str", "default": []},
            "keep_releases": {"type": "int", "default": 5},
            "images": {"type": "list", "elements": "str", "default": []},
            "rollback": {"type": "int", "default": 0},
            "streams": {"type": "list", "elements": "dict", "default": []},
            "verify": {"type": "bool", "default": False},
            "progress": {"type": "path", "default": ""},
            "delete_data": {"type": "bool", "default": False},
            "may_be_missing": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["releases"]), ("state", "absent", ["stack"])],
        supports_check_mode=True,
    )
    try:
        (present if module.params["state"] == "present" else absent)(module)
    except EXPECTED as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=file_refused(error))


if __name__ == "__main__":
    main()
