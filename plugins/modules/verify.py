# Copyright: sse.platform maintainers
# MIT License
"""Prove that what runs of a stack works, and name everything that does not."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: prove
short_description: Prove that a stack works
description:
  - Publishes events through nginx and sees each arrive once at a subscriber of every replica and through nginx;
    asks every healthcheck and health endpoint; asks Prometheus for its targets and Grafana for its datasources; sees
    that the declared ports and only those answer on the host.
  - Tries every port of every container from inside every other one, declared or not, and keeps the result below
    I(state_directory) as C(matrix/matrix.json) and, for Prometheus, C(matrix/reach.prom).
  - Lists every finding with the container, what is wrong, what came back and what to do. Changes nothing else but a
    few marker events on a channel of its own. In check mode it only says what it would look at.
options:
  state_directory:
    description: Directory on the host that keeps the releases of the stack.
    type: path
    required: true
  release:
    description: The release to prove. Without it, the newest applied one of every project in I(state_directory).
    type: dict
  project:
    description: Prove only this project. Without it, all of them.
    type: str
  grid:
    description: Also return the matrix of connections as a drawing.
    type: bool
    default: false
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Prove what runs
  sse.platform.verify:
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
msg:
  description: What was proved, or every finding.
  returned: always
  type: str
findings:
  description: Everything that does not work.
  returned: when something was looked at
  type: list
  elements: dict
  contains:
    rule: {description: The kind of check that found it., type: str}
    subject: {description: The container or the firewall chain that is concerned., type: str}
    wrong: {description: What is wrong., type: str}
    evidence: {description: What came back., type: str}
    mend: {description: "Commands that mend it, and advice, which begins with #.", type: list, elements: str}
    fixable: {description: Always false; M(sse.platform.doctor) knows what it may mend by itself., type: bool}
counts:
  description: How many of what were proved.
  returned: when something was looked at
  type: dict
seconds:
  description: How long each kind of check took; they run side by side.
  returned: when something was looked at
  type: dict
matrix:
  description: How many edges of the matrix there are, how many were measured, and how many of each verdict.
  returned: when something was looked at
  type: dict
grid:
  description: The matrix as a drawing, one line each.
  returned: with I(grid)
  type: list
  elements: str
notes:
  description: What could not be judged, and why.
  returned: when something was looked at
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import Verifier, verify_stack


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "release": {"type": "dict"},
            "project": {"type": "str"},
            "grid": {"type": "bool", "default": False},
        },
        mutually_exclusive=[("release", "project")],
        supports_check_mode=True,
    )
    directory, project = module.params["state_directory"], module.params["project"]
    given = module.params["release"]
    try:
        releases = [given] if given else newest_releases(directory)
    except SpecError as error:
        module.fail_json(msg=str(error))
    releases = [one for one in releases if project in (None, one["project"])]
    if module.check_mode:
        count = sum(len(one["containers"]) for one in releases)
        module.exit_json(changed=False, msg=f"check mode: nothing is asked of the {count} containers")
    if not releases:
        of = f" of project {project}" if project else ""
        module.fail_json(msg=f"There is no release{of} in {directory}: nothing was deployed here.", advice="./sse up")
    try:
        if given or project:  # a part of the stack is no news of the whole
            verifier = Verifier(Engine(), directory, releases)
            verifier.run()
        else:
            verifier = verify_stack(directory, releases)
    except EngineError as error:
        module.fail_json(msg=f"{error}. Is the engine running?", advice="./sse up starts it")
    report = verifier.report(grid=module.params["grid"])
    if report["findings"]:
        module.fail_json(**report)
    module.exit_json(changed=False, **report)


if __name__ == "__main__":
    main()
