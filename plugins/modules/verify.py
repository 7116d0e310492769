# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Verify that what runs of a stack works, and report everything that does not."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify
short_description: Verify that a stack works
version_added: 0.1.0
description:
  - Publishes events through NGINX, and checks that each arrives once at a subscriber of every replica and of NGINX.
  - Checks every health check and health endpoint, the targets of Prometheus, the datasources of Grafana, and that the
    host answers on the declared ports and on no others.
  - Tries every port of every container from inside every other container. The file C(matrix/matrix.json) in
    O(state_directory) keeps the result, and C(matrix/reach.prom) keeps it for Prometheus.
  - Reports each finding with the container, what is wrong, what came back and what to do.
  - Changes nothing except some test events on a channel of its own.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: Nothing is tried. The message says how many containers there are.}
  diff_mode: {support: none}
options:
  state_directory: {required: true}
  release:
    description: The release to verify. Without it, the newest applied release of every project is verified.
    type: dict
  project:
    description: Verify only this project. Without it, all projects are verified.
    type: str
  grid:
    description: Also return the matrix of connections as a drawing.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Verify what runs
  sse.platform.verify:
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
msg:
  description: What was verified, or every finding, one a line.
  returned: always
  type: str
findings:
  description: Everything that does not work.
  returned: when something was looked at
  type: list
  elements: dict
  contains:
    rule: {description: The kind of check that reports the finding., type: str}
    subject: {description: The container or the firewall chain that it is about., type: str}
    wrong: {description: What is wrong., type: str}
    evidence: {description: What came back., type: str}
    mend: {description: "Commands that mend it, and advice, which begins with #.", type: list, elements: str}
    fixable: {description: "Always V(false), because only M(sse.platform.doctor) runs commands.", type: bool}
counts:
  description: How many things of each kind were verified.
  returned: when something was looked at
  type: dict
seconds:
  description: How long each kind of check took. The checks run at the same time.
  returned: when something was looked at
  type: dict
matrix:
  description: How many connections there are, how many were tried, and how many of them had which result.
  returned: when something was looked at
  type: dict
grid:
  description: The matrix as a drawing, one line each.
  returned: with O(grid=true)
  type: list
  elements: str
notes:
  description: What could not be verified, and why.
  returned: when something was looked at
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.verify.verifier import Verifier, verify_stack
from ansible_collections.sse.platform.plugins.module_utils.views import live


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
            for problem in live.write(directory, Api()):
                module.warn(problem)
    except EngineError as error:
        module.fail_json(msg=str(error))
    report = verifier.report(grid=module.params["grid"])
    if report["findings"]:
        module.fail_json(**report)
    module.exit_json(changed=False, **report)


if __name__ == "__main__":
    main()
