# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the modules say about check mode, diff mode and the systems that they work on."""

from __future__ import annotations


class ModuleDocFragment:
    """`sse.platform.attributes` holds for every module; the others are added where they fit."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Whether the module runs in check mode, and then changes nothing.
  diff_mode:
    description: Whether the module returns the details of a change with C(--diff).
  platform:
    description: The operating systems of hosts on which the module works.
    support: full
    platforms: debian
author:
  - sse.platform maintainers (@sse-platform)
"""

    READ_ONLY = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The module changes nothing. It does the same work with and without check mode.
  diff_mode:
    support: N/A
    details: The module changes nothing.
"""

    CONTROLLER = r"""
options: {}
attributes:
  check_mode:
    support: full
    details: The work is done on the controller. It is the same with and without check mode.
  diff_mode:
    support: N/A
    details: Nothing changes on the host.
  connection:
    description: Whether the module connects to the host.
    support: none
    details: An action plugin of the same name does the work on the controller.
"""
