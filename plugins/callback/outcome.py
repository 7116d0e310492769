# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Tells ./sse how a run ended, whatever screen shows it: Ansible's exit codes do not know findings."""

from __future__ import annotations

DOCUMENTATION = r"""
name: outcome
type: aggregate
short_description: Tell the launcher whether a run was fine, failed or had findings
version_added: 0.2.0
description:
  - Writes C(fine), C(findings), C(failed), C(no host) or C(unwritten) with the reason to the file descriptor that
    E(SSE_OUTCOME_DESCRIPTOR) names.
  - C(./sse) enables it for the playbooks that it runs. It shows nothing.
author: sse.platform maintainers (@sse-platform)
"""

import contextlib
import os
from typing import TYPE_CHECKING

from ansible.plugins.callback import CallbackBase
from ansible_collections.sse.platform.plugins.plugin_utils.outcome import UNWRITTEN, Outcome

if TYPE_CHECKING:
    from ansible.executor.stats import AggregateStats
    from ansible.executor.task_result import CallbackTaskResult


class CallbackModule(CallbackBase):
    """Writes one word at the end."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "sse.platform.outcome"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self) -> None:
        """Starts where nothing failed."""
        super().__init__()
        self._outcome = Outcome()

    def v2_runner_on_failed(self, result: CallbackTaskResult, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            self._outcome.has_findings(result)

    def v2_playbook_on_no_hosts_matched(self) -> None:
        self._outcome.no_host = True

    def v2_playbook_on_stats(self, stats: AggregateStats) -> None:
        word = f"unwritten: {UNWRITTEN[0]}" if UNWRITTEN else self._outcome.word(stats)
        if descriptor := os.environ.get("SSE_OUTCOME_DESCRIPTOR"):
            with contextlib.suppress(OSError):
                os.write(int(descriptor), word.encode())
