"""What doctor's rules have in common: facts in, findings out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

Json = dict[str, Any]
Rule = Callable[[Json], Iterator[Finding]]
