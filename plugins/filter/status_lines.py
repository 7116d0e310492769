# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What runs, laid out for the terminal in front of the person who asks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.views import status_table
from ansible_collections.sse.platform.plugins.plugin_utils.screen import COLUMNS, paint

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.views.status_table import Status


def status_lines(seen: Status) -> list[str]:
    """Write what was seen, in the width and with the colours of the terminal, if there is one.

    :param seen: what the module `status` returned as `status`
    """
    return status_table.lines(seen, int(os.environ.get(COLUMNS) or 0), paint)


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter by name."""
        return {"status_lines": status_lines}
