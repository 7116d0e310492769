# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Try one connection from a container, or from the host, step by step. No image needs a tool for it."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: probe
short_description: Resolve, connect and ask over HTTP from inside a container
version_added: 0.1.0
description:
  - Enters the network namespace of a running container, and does what a program in it does to reach another container.
  - Starts nothing in the container, so its image needs no tool.
  - When a step fails, the rules of M(sse.platform.doctor) look for the reason.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.read_only, sse.platform.stack]
options:
  source:
    description: The container to start from, by its full or short name, or its service. V(host) is the host itself.
    type: str
    required: true
  target:
    description: Name or address to reach, as a program in O(source) would write it.
    type: str
    required: true
  port:
    description: TCP port to connect to. Without it, every port that the target listens on is tried.
    type: int
  path:
    description: Path to ask for over HTTP once the connection stands.
    type: str
    default: ""
  tls:
    description: Ask over HTTPS. The certificate is not checked.
    type: bool
    default: false
  stack: {default: sse}
"""

EXAMPLES = r"""
- name: See whether a replica reaches the broker
  sse.platform.probe:
    source: sse-app-1
    target: kafka
    port: 9092
"""

RETURN = r"""
steps:
  description: What happened at each port.
  returned: always
  type: list
  elements: dict
  contains:
    port: {description: "The port, or null when only the name was resolved.", type: int}
    addresses: {description: The addresses that the name resolves to., type: list, elements: str}
    failed_step: {description: "The step that failed, V(resolve), V(connect) or V(http), or empty.", type: str}
    error: {description: The error of the step that failed., type: str}
    status: {description: "Status code of the HTTP answer, or null.", type: int}
    answer: {description: The first words of the HTTP answer., type: str}
    milliseconds: {description: How long each step took., type: dict}
    finding: {description: "Why the step failed, what shows it and what mends it, as lines.", type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor.asked_connection import (
    AskedPort,
    SourceError,
    try_ports,
)
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather.facts import observe_engine


def described(step: AskedPort) -> dict[str, Any]:
    """Return one step as plain data."""
    found = step.found
    times = {"resolve": found.resolve_seconds, "connect": found.connect_seconds, "http": found.http_seconds}
    return {
        "port": step.port,
        "addresses": found.addresses,
        "failed_step": found.failed,
        "error": found.error,
        "status": found.status,
        "answer": found.answer,
        "milliseconds": {name: round(seconds * 1000, 2) for name, seconds in times.items() if seconds is not None},
        "finding": step.finding.lines if step.finding else [],
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "source": {"type": "str", "required": True},
            "target": {"type": "str", "required": True},
            "port": {"type": "int"},
            "path": {"type": "str", "default": ""},
            "tls": {"type": "bool", "default": False},
            "stack": {"type": "str", "default": "sse"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    observed = observe_engine(asked["stack"])
    if observed["host"]["engine"] is None:
        module.fail_json(
            msg=f"No Docker Engine answers here: {observed['host']['engine_error']}. ./sse doctor tells more."
        )
    try:
        steps = try_ports(observed, asked["source"], asked["target"], asked["port"], asked["path"], tls=asked["tls"])
    except SourceError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, steps=[described(step) for step in steps])


if __name__ == "__main__":
    main()
