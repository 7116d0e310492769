"""Documentation only: the work is done on the controller by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: settings
short_description: Check and convert every public variable of the collection
description:
  - Reads the C(argument_specs) of all roles, takes each variable's value, converts it strictly by its type
    (C(-e) makes every value a string), and checks ranges, names and the rules between variables.
  - Refuses a misspelt variable and names the nearest real one. Reports all problems at once. Touches no host.
  - Takes no options.
author:
  - sse.platform maintainers (@sse-platform)
"""

EXAMPLES = r"""
- name: Check the settings
  sse.platform.settings:
"""

RETURN = r"""
ansible_facts:
  description: The fact C(settings), a flat dictionary of every public variable in its proper type.
  returned: success
  type: dict
"""
