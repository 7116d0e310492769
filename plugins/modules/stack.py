# Copyright: sse.platform maintainers
# MIT License
"""Make the containers of one project as its release says, or remove a whole stack."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: stack
short_description: Run a release of containers
description:
  - Plans the way from what runs to the release, and carries the plan out in one process, in dependency order and in
    parallel, each container gated on its health, replicas one at a time.
  - Where a new container fails, the one that it replaced comes back.
  - New connections to the stack's networks are judged by a chain of its own, called from DOCKER-USER, which holds just
    what the releases declare.
  - With I(verify) the whole stack is proved in the same process, as M(sse.platform.verify) does.
  - In check mode the plan is made and nothing is touched; with C(--diff) it is printed.
options:
  state:
    description: Whether the release runs, or nothing of the stack is left (its data stays).
    type: str
    choices: [present, absent]
    default: present
  releases:
    description: >-
      One release a project, as M(sse.platform.release) built them, run one after the other. Required for
      I(state=present).
    type: list
    elements: dict
  stack:
    description: Name of the stack to remove. Required for I(state=absent).
    type: str
  state_directory:
    description: Directory on the host that keeps data, secrets and releases of the stack.
    type: path
    required: true
  secrets:
    description: Secrets of the user's own, by name; others are made on the host on first use.
    type: dict
    default: {}
  services:
    description: Limit the run to these services; everything else stays as it was. Empty means all.
    type: list
    elements: str
    default: []
  parallel:
    description: How many containers are worked on at once.
    type: int
    default: 4
  meta:
    description: Who and which commit; kept with the release for the audit log.
    type: dict
    default: {}
  verify:
    description: With I(state=present), fail unless what runs afterwards is proved to work.
    type: bool
    default: false
  delete_data:
    description: With I(state=absent), also delete data, secrets and releases for good.
    type: bool
    default: false
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Run the release
  sse.platform.stack:
    releases: "{{ releases }}"
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
outcomes:
  description: For each project its release number, what was done (or would be) with reasons, and how long each took.
  returned: state=present
  type: list
  elements: dict
changes:
  description: What was done, or would be, with reasons, one line each.
  returned: state=present
  type: list
  elements: str
verified:
  description: What M(sse.platform.verify) would return.
  returned: with I(verify), outside of check mode
  type: dict
removed:
  description: Names of the removed containers.
  returned: state=absent
  type: list
  elements: str
removed_networks:
  description: Names of the removed networks.
  returned: state=absent
  type: list
  elements: str
kept_networks:
  description: Networks that stay because of containers that are not the stack's, with these.
  returned: state=absent
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout
from ansible_collections.sse.platform.plugins.module_utils.deploy.apply import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import SecretError
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import FirewallError
from ansible_collections.sse.platform.plugins.module_utils.engine.client import EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.plan import ForeignContainerError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import verify_stack

EXPECTED = (ApplyError, EngineError, FirewallError, ForeignContainerError, SecretError, SpecError)
READY_SECONDS = 30.0  # that replicas have after a change, before they are verified


def present(module: AnsibleModule) -> None:
    """Roll out every project, one after the other; in check mode only plan."""
    options = module.params
    directory = options["state_directory"]
    request = rollout.Request(
        releases=options["releases"],
        state_directory=directory,
        secrets=options["secrets"],
        services=options["services"],
        parallel=options["parallel"],
        meta=options["meta"],
        check=module.check_mode,
    )
    report = rollout.Report()
    try:
        rollout.run(request, report)
    except EXPECTED as error:
        module.fail_json(msg=str(error) if module.check_mode else report.failure(error), **result_of(report))
    result = result_of(report)
    if options["verify"] and not module.check_mode:
        patience = READY_SECONDS if result["changed"] else 0
        result["verified"] = verified = verify_stack(directory, newest_releases(directory), patience).report()
        if verified["findings"]:
            module.fail_json(msg=f"The release runs, but verification failed: {verified['msg']}", **result)
    module.exit_json(**result)


def result_of(report: rollout.Report) -> dict[str, Any]:
    """Return what the module says of a run."""
    return {
        "changed": bool(report.changes),
        "changes": report.changes,
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
    removed = rollout.tear_down(
        options["stack"],
        options["state_directory"],
        options["parallel"],
        delete_data=options["delete_data"],
        check=module.check_mode,
    )
    module.exit_json(
        changed=bool(removed.containers or removed.networks),
        removed=removed.containers,
        removed_networks=removed.networks,
        kept_networks=removed.kept,
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
            "verify": {"type": "bool", "default": False},
            "delete_data": {"type": "bool", "default": False},
        },
        required_if=[("state", "present", ["releases"]), ("state", "absent", ["stack"])],
        supports_check_mode=True,
    )
    try:
        (present if module.params["state"] == "present" else absent)(module)
    except EXPECTED as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
