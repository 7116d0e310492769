# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The two options by which a module finds a stack on a host."""

from __future__ import annotations


class ModuleDocFragment:
    """`sse.platform.stack` is the name of the stack, `sse.platform.stack.directory` is where it keeps its state."""

    DOCUMENTATION = r"""
options:
  stack:
    description: Name of the stack. The names of its containers and networks begin with it.
    type: str
"""

    DIRECTORY = r"""
options:
  state_directory:
    description: Directory on the host where the stack keeps its data, secrets and releases.
    type: path
"""
