# Copyright: sse.platform maintainers
# MIT License
"""Take the way from a container to another, step by step, without a tool in its image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: probe
short_description: Resolve, connect and ask over HTTP from inside a container
description:
  - Enters the network namespace of a running container and does what a program in it would do to reach another one.
    Nothing is started in the container, so its image needs no tool. Changes nothing.
options:
  source:
    description: Name of the container to start from.
    type: str
    required: true
  target:
    description: Name or address to reach, as a program in I(source) would write it.
    type: str
    required: true
  port:
    description: TCP port to connect to. Without it, the name is resolved and nothing more.
    type: int
  path:
    description: Path to ask for by HTTP, once connected.
    type: str
    default: ""
  tls:
    description: Ask by HTTPS; the certificate is not checked.
    type: bool
    default: false
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: See whether a replica reaches the broker
  sse.platform.probe:
    source: sse-app-1
    target: kafka
    port: 9092
"""

RETURN = r"""
addresses:
  description: What the name resolves to.
  returned: always
  type: list
  elements: str
failed_step:
  description: The step that failed (C(resolve), C(connect) or C(http)); empty where none did.
  returned: always
  type: str
error:
  description: What came back where a step failed.
  returned: always
  type: str
status:
  description: Status of the HTTP answer, or null.
  returned: always
  type: int
answer:
  description: The first words of the HTTP answer.
  returned: always
  type: str
milliseconds:
  description: How long each step took that was taken.
  returned: always
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils import probe
from ansible_collections.sse.platform.plugins.module_utils.engine import Engine, EngineError


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "port": {"type": "int"},
            "path": {"type": "str", "default": ""},
            "tls": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        state = Engine().inspect(options["source"])["State"]
        if not state["Running"]:
            module.fail_json(msg=f"{options['source']} does not run ({state['Status']}), so nothing starts from it.")
        found = probe.measure(
            int(state["Pid"]), options["target"], options["port"], options["path"], tls=options["tls"]
        )
    except (EngineError, OSError) as error:
        module.fail_json(msg=str(error))
    steps = {"resolve": found.resolve_seconds, "connect": found.connect_seconds, "http": found.http_seconds}
    module.exit_json(
        changed=False,
        addresses=found.addresses,
        failed_step=found.failed,
        error=found.error,
        status=found.status,
        answer=found.answer,
        milliseconds={step: round(seconds * 1000, 2) for step, seconds in steps.items() if seconds is not None},
    )


if __name__ == "__main__":
    main()
