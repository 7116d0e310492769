"""The known word that somebody may have meant, for messages that refuse another one."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ": did you mean 'x'?" where a known word is near, else the end of the sentence."""
    bare = {one.lstrip("-"): one for one in sorted(known, reverse=True)}  # dashes make every two options alike
    near = difflib.get_close_matches(word.lstrip("-"), list(bare), n=1)
    return f": did you mean '{bare[near[0]]}'?" if near else "."
