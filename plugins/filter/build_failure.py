"""What matters of a failed image build."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.sse.platform.plugins.module_utils.deploy.images import build_failure


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[[str], str]]:
        """Return the filter by name."""
        return {"build_failure": build_failure}
