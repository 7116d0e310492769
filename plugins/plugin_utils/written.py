# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Where the value of a variable was written: Ansible keeps the file with the value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# Ansible gives no public way to ask for it. tests/unit/settings/test_paths.py fails where a new version moves it.
from ansible._internal._datatag._tags import Origin
from ansible_collections.sse.platform.plugins.module_utils.settings.paths import Place


def place_of(*values: Any) -> Place:
    """Return the place of the first of these values that has one; a value from -e and an unknown one have no file."""
    origins = [origin for origin in map(Origin.get_tag, values) if origin]
    return Place((origins[0].path if origins else None) or "", str(Path.cwd()))
