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
"""

EXAMPLES = r"""
- name: Look at the stack
  sse.platform.status:
    stack: sse
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
containers:
  description: One entry for each container.
  returned: always
  type: list
  elements: dict
releases:
  description: For each project the newest release that was applied, or the newest one when none was applied.
  returned: always
  type: list
  elements: dict
lines:
  description: >-
    What is paused, which problems services say they have, the containers as a table of text, and where people open what
    runs.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy import rollout_control, switches
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.views.status import observe, opened, said, stacks, table


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
        },
        supports_check_mode=True,
    )
    directory = module.params["state_directory"]
    try:
        releases = newest_releases(directory)
        engine = Engine()
        rows = observe(engine, module.params["stack"], releases, LoadedStore(directory))
        there = [] if rows else stacks(engine)
    except (EngineError, SpecError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=False,
        containers=[one._asdict() for one in rows],
        releases=releases,
        lines=[
            *switches.lines(directory),
            *rollout_control.lines(directory),
            *said(rows, releases),
            *table(rows, module.params["stack"], there),
            *opened(releases),
        ],
    )


if __name__ == "__main__":
    main()
