# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Code of this collection on the controller, compiled once: Ansible's own importer compiles it in every run anew.

Python keeps what it compiled beside the sources, as it does for every other module, and judges whether it is current.
"""

from __future__ import annotations

import sys
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

OURS = "ansible_collections.sse.platform.plugins."


class CompiledOnce:
    """A finder for the modules of this collection. Everything else, also its packages, is left to Ansible."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Return how Python itself loads a module of ours."""
        if path is None or not name.startswith(OURS):
            return None
        files = (Path(one, f"{name.rpartition('.')[2]}.py") for one in path)
        found = next((one for one in files if one.is_file()), None)
        return spec_from_file_location(name, found) if found else None


def install() -> None:
    """Have it asked before Ansible's importer, once."""
    if CompiledOnce not in sys.meta_path:
        sys.meta_path.insert(0, CompiledOnce)
