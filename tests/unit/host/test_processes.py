"""The processes below another one."""

from __future__ import annotations

import os
import subprocess
import sys

from ansible_collections.sse.platform.plugins.module_utils.host.processes import Process, below, generations

CHAIN = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()', 'grandchild'])"


def test_children_and_their_children_are_found_with_their_titles() -> None:
    with subprocess.Popen([sys.executable, "-c", CHAIN, "child"], stdin=subprocess.PIPE) as process:
        try:
            found = below(os.getpid())
            while not any("grandchild" in one.title for one in found):
                assert process.poll() is None
                found = below(os.getpid())
        finally:
            process.communicate(b"\n")
    assert any(one.title.endswith(" child") for one in found)
    assert all(one.memory > 0 for one in found)


def test_processes_are_grouped_by_when_they_started_and_no_chain_joins_two_groups() -> None:
    started = {1: 130, 2: 100, 3: 160, 4: 170, 5: 400}
    processes = [Process(pid, ticks, "worker", 1) for pid, ticks in started.items()]
    assert [[one.pid for one in group] for group in generations(processes, 0.5)] == [[2, 1], [3, 4], [5]]
