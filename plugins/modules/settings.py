# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: settings
short_description: Check and convert every public variable of the collection
version_added: 0.1.0
description:
  - Reads the argument specs of all roles, and converts the value of each variable to its type. A value that C(-e) sets
    is always a string.
  - Checks the range of each value, and the rules between variables.
  - Refuses a misspelt variable, and names the nearest real one. Reports all problems in one message.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  instead:
    description: >-
      Values that replace those of the inventory and of C(-e), for a second stack that this run makes for itself. Each
      setting whose default depends on one of them has its default again.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Check the settings
  sse.platform.settings:
"""

RETURN = r"""
ansible_facts:
  description: >-
    The fact C(settings), a flat dictionary of every public variable in its type, and the fact C(this_run), which says
    who runs this, from where, and what C(-e) gave. Values that can hold a secret are left out. The fact
    C(this_controller) says by what the lock of a stack knows this run. The fact C(openings) says which settings open
    something, and with which value.
  returned: success
  type: dict
"""
