# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Ask registries, through the engine, whether they have images. Nothing is pulled."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: registry_images
short_description: Ask registries for images, without pulling them
version_added: 0.1.0
description:
  - Has the Docker Engine ask the registry of each image for it. So the answer is the one that a pull would get, with
    the certificates and proxies of the engine.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only]
options:
  references:
    description: References of images, such as V(alpine:3.22).
    type: list
    elements: str
    required: true
  registry:
    description: The registry that O(username) and O(password) belong to.
    type: str
    default: ""
  username:
    description: User name at O(registry). Empty means no login.
    type: str
    default: ""
  password:
    description: Password at O(registry).
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: See whether images can be pulled
  sse.platform.registry_images:
    references: ["alpine:3.22", "ghcr.io/example/tool:1.2"]
"""

RETURN = r"""
problems:
  description: The references that cannot be pulled, each with what the registry or the engine says.
  returned: success
  type: dict
"""

import base64
import json

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.engine.api import Api, RefusedError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "references": {"type": "list", "elements": "str", "required": True},
            "registry": {"type": "str", "default": ""},
            "username": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    asked = module.params
    login = {"username": asked["username"], "password": asked["password"], "serveraddress": asked["registry"]}
    header = base64.urlsafe_b64encode(json.dumps(login).encode()).decode()
    engine = Api()
    problems: dict[str, str] = {}
    for reference in asked["references"]:
        ours = bool(asked["username"]) and reference.startswith(f"{asked['registry']}/")
        try:
            engine.registry_image(reference, header if ours else "")
        except RefusedError as error:
            problems[reference] = error.message
        except OSError as error:
            problems[reference] = f"the engine does not tell ({error})"
    module.exit_json(changed=False, problems=problems)


if __name__ == "__main__":
    main()
