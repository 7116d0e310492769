# Copyright: sse.platform maintainers
# MIT License
"""Take the way from a container, or the host, to another, step by step, without a tool in any image."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: probe
short_description: Resolve, connect and ask over HTTP from inside a container
description:
  - Enters the network namespace of a running container and does what a program in it would do to reach another one.
    Nothing is started in the container, so its image needs no tool. Changes nothing.
  - Where a step fails, the rules of M(sse.platform.doctor) tell why.
options:
  source:
    description: The container to start from, by full name, short name or service; or C(host).
    type: str
    required: true
  target:
    description: Name or address to reach, as a program in I(source) would write it.
    type: str
    required: true
  port:
    description: TCP port to connect to. Without it, every port that the target listens on.
    type: int
  path:
    description: Path to ask for by HTTP, once connected.
    type: str
    default: ""
  tls:
    description: Ask by HTTPS; the certificate is not checked.
    type: bool
    default: false
  stack:
    description: Name of the stack whose short names are meant.
    type: str
    default: sse
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
steps:
  description: What each port showed.
  returned: always
  type: list
  elements: dict
  contains:
    port: {description: The port, or null where only the name was resolved., type: int}
    addresses: {description: What the name resolves to., type: list, elements: str}
    failed_step:
      description: The step that failed (C(resolve), C(connect) or C(http)); empty where none did.
      type: str
    error: {description: What came back where a step failed., type: str}
    status: {description: "Status of the HTTP answer, or null.", type: int}
    answer: {description: The first words of the HTTP answer., type: str}
    milliseconds: {description: How long each step took that was taken., type: dict}
    finding: {description: Why it failed, evidence and mend, one a line., type: list, elements: str}
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.doctor import asked_connection as ways
from ansible_collections.sse.platform.plugins.module_utils.doctor.gather import facts


def described(step: ways.Step) -> dict[str, Any]:
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
    options = {"stack": asked["stack"], "state_directory": "/", "network": {}, "bind": "", "clock": ""}
    observed = facts.observe(options)
    if observed["host"]["engine"] is None:
        module.fail_json(
            msg=f"No Docker Engine answers here: {observed['host']['engine_error']}. ./sse doctor tells more."
        )
    try:
        steps = ways.take(observed, asked["source"], asked["target"], asked["port"], asked["path"], tls=asked["tls"])
    except ways.WayError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, steps=[described(step) for step in steps])


if __name__ == "__main__":
    main()
