"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: declare
short_description: Declare services of the stack
description:
  - Evaluates the variable C(__<role>_service) of each service role with the converted settings, and adds it to the
    fact C(stack_declarations). Touches no host.
options:
  roles:
    description: >-
      The service roles of this collection to declare, in this order, each with its wiring: I(bind) of role C(redis) is
      C(__redis_bind) within it.
    type: dict
    default: {}
  services:
    description: Declarations of services that have no role, by name.
    type: dict
    default: {}
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Declare Redis, and a service of our own
  sse.platform.declare:
    roles:
      redis: {bind: 127.0.0.1}
    services: "{{ settings.services_extra }}"
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(stack_declarations), a dictionary of service name to declaration, and C(stack_metrics) and
    C(stack_routes), which collect what all of them say for Prometheus and for nginx.
  returned: always
  type: dict
"""
