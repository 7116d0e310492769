"""What a check is: a kind of question, the jobs that ask it side by side, and what they found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


class Checked(NamedTuple):
    """What one job found."""

    findings: list[Finding]
    verified: int = 1  # how many of what the kind counts are as they should be
    notes: Sequence[str] = ()


Job = Callable[[], Checked]


class Kind(NamedTuple):
    """One kind of check. A kind without a parser holds for every container, and no service declares it."""

    name: str
    counts: str  # what the summary counts
    jobs: Callable[[Running, Sequence[Subject], Any], list[Job]]  # takes the containers, and the checked parameters
    parse: Callable[[Any, str], Any] | None = None  # takes the parameters and their place; raises SpecError
    awaited: bool = False  # after a change, every other check waits until this one passes
