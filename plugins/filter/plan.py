# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a run would do, as lines of text."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.sse.platform.plugins.module_utils.views import plan


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter by name."""
        return {"plan": plan.lines}
