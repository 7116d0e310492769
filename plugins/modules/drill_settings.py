# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: drill_settings
short_description: Choose the name, ports and services of the throwaway stack of a drill
version_added: 0.2.0
description:
  - Chooses a name that depends on the stack alone, so that the next drill finds what a killed one left.
  - Chooses an offset with which every port and the subnet are free.
  - Chooses the services that a drill needs, those that declare C(drill) and what these need.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  state:
    description:
      - V(named) returns name and directory.
      - V(placed) returns the offset and an API key. It needs the fact C(host).
      - V(chosen) returns the services. It needs the fact C(stack_declarations).
    type: str
    required: true
    choices: [named, placed, chosen]
  directory:
    description: A directory of the controller that only this run can read, for the file of the API key.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Name the stack of the drill
  sse.platform.drill_settings:
    state: named
  register: drill_stack
"""

RETURN = r"""
stack:
  description: Name of the throwaway stack.
  returned: O(state=named)
  type: str
state_directory:
  description: Its state directory, beside that of the stack.
  returned: O(state=named)
  type: str
begun:
  description: When the drill began, in seconds since 1970.
  returned: O(state=named)
  type: float
offset:
  description: A free offset.
  returned: O(state=placed)
  type: int
key:
  description: An API key that may subscribe to everything, for the drill alone.
  returned: O(state=placed)
  type: str
keys_file:
  description: The file on the controller that holds its hash.
  returned: O(state=placed)
  type: str
services:
  description: Names of services.
  returned: O(state=chosen)
  type: list
  elements: str
declared:
  description: What a service declares under C(drill).
  returned: O(state=chosen)
  type: dict
"""
