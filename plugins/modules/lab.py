# Copyright: sse.platform maintainers
# MIT License
"""Show with throwaway containers what each kind of network does."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab
short_description: Show what Docker's networks do
description:
  - Runs throwaway containers on each kind of network, and measures who resolves and reaches whom. Removes all of it,
    also what an interrupted run left. Touches nothing of others, and never makes a Swarm on the host's engine.
options:
  stack:
    description: Name of the stack; every name of the lab begins with it.
    type: str
    required: true
  state_directory:
    description: Directory on the host that keeps the releases of the stack, whose images can serve.
    type: path
    required: true
  image:
    description: Image of the containers, on the host already. Empty means one of the newest release.
    type: str
    default: ""
  engine_image:
    description: Image with an engine, for the lesson on overlay networks; empty leaves it out.
    type: str
    default: ""
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Show what Docker's networks do
  sse.platform.lab:
    stack: sse
    state_directory: /var/lib/sse-platform
"""

RETURN = r"""
seen:
  description: Every measurement.
  returned: success
  type: list
  elements: dict
  contains:
    network: {description: Kind of network., type: str}
    question: {description: What was tried., type: str}
    answer: {description: What came of it., type: str}
skipped:
  description: Reasons by lesson that this host could not show.
  returned: success
  type: dict
lines:
  description: All of it, written for people.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.release_store import newest_releases
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.lab.kit import Lab, default_image
from ansible_collections.sse.platform.plugins.module_utils.lab.lessons import namespaces, report, teach


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "state_directory": {"type": "path", "required": True},
            "image": {"type": "str", "default": ""},
            "engine_image": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    options = module.params
    if module.check_mode:
        module.exit_json(changed=False, seen=[], skipped={}, lines=["Check mode: the lab runs no container."])
    try:
        engine = Engine()
        image = options["image"] or default_image(engine, newest_releases(options["state_directory"]))
        with Lab(engine, options["stack"], image, options["engine_image"]) as lab:
            taught = list(teach(lab))
            kinds = namespaces(lab)
    except (EngineError, OSError) as error:
        module.fail_json(msg=str(error), advice="Run ./sse up: it starts the engine and brings images.")
    module.exit_json(
        changed=False,
        seen=[seen._asdict() for one in taught for seen in one.seen],
        skipped={one.lesson.title: one.skipped for one in taught if one.skipped},
        lines=report(taught, kinds),
    )


if __name__ == "__main__":
    main()
