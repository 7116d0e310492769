# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Documentation of the action plugin of the same name, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: confirm
short_description: Ask before something is done that cannot be undone
version_added: 0.1.0
description:
  - Asks at the terminal, once for all hosts of the play. Fails where the answer is not a yes, and where there is no
    terminal, unless O(confirmed=true). In check mode it does not ask.
extends_documentation_fragment: [sse.platform.attributes, sse.platform.attributes.controller]
options:
  question:
    description: What will be done, one line each.
    type: list
    elements: str
    required: true
  answer:
    description: The word that means yes, beside V(y) and V(yes).
    type: str
    required: true
  confirmed:
    description: Whether the yes was given before, so that nobody is asked.
    type: bool
    required: true
  consent:
    description: How to give the yes without a terminal. The message says it.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Ask before the data is deleted
  sse.platform.confirm:
    question: ["This deletes every event of the stack sse."]
    answer: sse
    confirmed: "{{ settings.stack_destroy_confirmed }}"
    consent: "--yes"
"""

RETURN = r"""
asked:
  description: Whether somebody was asked.
  returned: success
  type: bool
"""
