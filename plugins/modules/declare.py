# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: declare
short_description: Declare the services of a stack
version_added: 0.1.0
description:
  - Each service role describes its service in the variable C(__<role>_service). The module evaluates this variable
    with the checked settings, and adds the result to the fact C(stack_declarations).
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  only:
    description: >-
      The services to declare. Without it, every service is declared, and those of the setting C(services_extra).
      What each needs to know of others is in C(roles/services/vars/main.yml) in both cases.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Declare every service
  sse.platform.declare:

- name: Declare the dashboard
  sse.platform.declare:
    only: [dashboard]
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(stack_declarations) holds the declarations by service. The facts C(stack_metrics), C(stack_routes)
    and C(stack_watches) hold what all services together declare for Prometheus, for NGINX and to judge a canary by.
  returned: always
  type: dict
"""
