# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""How a run ended, as callbacks see it: a failure with findings is another end than a failure."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult


UNWRITTEN: Final[list[str]] = []  # why the output of this run could not be written, for all callbacks


@contextmanager
def writing() -> Iterator[None]:
    """Let no failure to write end a callback, for which Ansible only warns: the end of the run tells it."""
    try:
        yield
    except BrokenPipeError:
        pass  # whoever reads has enough
    except OSError as error:
        UNWRITTEN.append(error.strerror or str(error))


class Outcome:
    """Collects what ended a run."""

    def __init__(self) -> None:
        """Nothing failed yet."""
        self.failed: set[str] = set()  # findings, failed
        self.no_host = False

    def has_findings(self, result: CallbackTaskResult) -> bool:
        """Take note of a failed task, and tell whether it did its work and found something wrong."""
        looped = result.task.loop and "results" in result.result
        found = not looped and bool(result.result.get("findings"))
        self.failed.add("findings" if found else "failed")
        return found

    def word(self, stats: AggregateStats) -> str:
        """Return the word of the end: fine, findings, failed or no host."""
        if self.no_host:
            return "no host"
        if not {*stats.failures, *stats.dark}:
            return "fine"
        return "findings" if self.failed == {"findings"} and not stats.dark else "failed"
