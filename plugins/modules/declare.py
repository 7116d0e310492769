"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: declare
short_description: Declare a service of the stack
description:
  - Evaluates the variable C(__<service>_service) of a service role with the converted settings over the raw
    variables, and adds it to the fact C(stack_declarations). Touches no host.
options:
  service:
    description: Name of the service and of its role.
    type: str
    required: true
  declaration:
    description: The declaration itself, for a service that has no role.
    type: dict
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Declare Redis
  sse.platform.declare:
    service: redis
"""

RETURN = r"""
ansible_facts:
  description: The fact C(stack_declarations), a dictionary of service name to declaration.
  returned: always
  type: dict
"""
