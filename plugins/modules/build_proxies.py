# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Give builds of images the proxies of the host."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: build_proxies
short_description: Give builds of images the proxies of the host
version_added: 0.2.0
description:
  - Finds the proxies of this host in C(proxies) of the C(config.json) of the docker command, in the environment, in
    C(/etc/environment), and in what dockerd has. For packages of Debian, the configuration of apt goes first.
  - Writes a C(config.json) for each kind of build, so that no task and no result holds the password of a proxy.
extends_documentation_fragment: [sse.platform.attributes]
attributes:
  check_mode: {support: none}
  diff_mode: {support: none}
options:
  directory:
    description: Where the files are written. Only root can read them.
    type: path
    required: true
  contexts:
    description: Directories of Dockerfiles.
    type: list
    elements: path
    required: true
  own_contexts:
    description: Those of images of one's own, whose builds get the logins of the docker command as well.
    type: list
    elements: path
    required: true
  mirror:
    description: Address of the Debian archive. Empty means the one of this host.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Give the builds the proxies of this host
  sse.platform.build_proxies:
    directory: /var/lib/sse-platform/images/clients
    contexts: [/var/lib/sse-platform/images/app]
    own_contexts: []
"""

RETURN = r"""
directories:
  description: For each directory of a Dockerfile, the directory with the C(config.json) for its build.
  returned: success
  type: dict
loopback:
  description: Whether a proxy listens on the loopback of the host, so that a build needs the network of the host.
  returned: success
  type: bool
told:
  description: Where the proxies are configured, in a sentence.
  returned: success
  type: str
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.images import build_proxies


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "contexts": {"type": "list", "elements": "path", "required": True},
            "own_contexts": {"type": "list", "elements": "path", "required": True},
            "mirror": {"type": "str", "default": ""},
        },
        supports_check_mode=False,
    )
    given = module.params
    contexts, own = ([Path(one) for one in given[name]] for name in ("contexts", "own_contexts"))
    written = build_proxies.write(Path(given["directory"]), contexts, own, given["mirror"])
    module.exit_json(changed=True, **written)


if __name__ == "__main__":
    main()
