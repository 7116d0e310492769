# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a check is: a kind of question that is asked of each container, or of all of them together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding
    from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject


class Checked(NamedTuple):
    """What a job found."""

    findings: Sequence[Finding] = ()
    verified: int = 1  # how many of what the kind counts are as they should be
    notes: Sequence[str] = ()


Job = Callable[[], Checked]  # all jobs run side by side


class Kind(NamedTuple):
    """One kind of check. A kind without a parser holds for every container, and no service declares it."""

    name: str
    counts: str  # what the summary counts
    jobs: Callable[[Running, Sequence[Subject], Any], list[Job]]  # takes the containers and the parsed parameters
    parse: Callable[[Any, str], Any] | None = None  # takes the parameters and their place; raises SpecError
    awaited: bool = False  # after a change, every other check waits until this one passes
    last: bool = False  # it asks for what the verification itself has written


def each(check: Callable[[Running, Subject, Any], Checked]) -> Callable[[Running, Sequence[Subject], Any], list[Job]]:
    """Make a job for each container."""
    return lambda running, subjects, parameters: [partial(check, running, one, parameters) for one in subjects]


def together(
    check: Callable[[Running, Sequence[Subject], Any], Checked],
) -> Callable[[Running, Sequence[Subject], Any], list[Job]]:
    """Make one job for all containers."""
    return lambda running, subjects, parameters: [partial(check, running, subjects, parameters)]
