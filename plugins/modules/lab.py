# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Show with throwaway containers what each kind of Docker network does."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: lab
short_description: Show what Docker's networks do
version_added: 0.1.0
description:
  - Runs throwaway containers on each kind of network, and measures which container finds and reaches which other one.
  - Removes all of them at the end, and also what an interrupted run left behind.
  - Touches nothing else on the host, and never makes its engine a member of a Swarm.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.stack, sse.platform.stack.directory]
attributes:
  check_mode: {support: full, details: No container runs and nothing is measured.}
  diff_mode: {support: N/A, details: Nothing stays changed.}
options:
  stack: {required: true}
  state_directory: {required: true}
  image:
    description: Image of the containers. The host must have it. Empty means an image of the newest release.
    type: str
    default: ""
  engine_image:
    description: Image with a Docker Engine for the lesson on overlay networks. Empty means that it is left out.
    type: str
    default: ""
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
    network: {description: Kind of the network., type: str}
    question: {description: What was tried., type: str}
    answer: {description: What happened., type: str}
skipped:
  description: The lessons that this host cannot show, each with the reason.
  returned: success
  type: dict
lines:
  description: Everything as text.
  returned: success
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.lab.kit import Lab, default_image
from ansible_collections.sse.platform.plugins.module_utils.lab.lessons import namespaces, report, teach
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import newest_releases


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
