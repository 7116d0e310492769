"""A run that is killed at any step, as by a power cut: the next one makes everything as it should be.

The change has every kind of action. The run is killed before the n-th thing that it does to the engine or the disk.
SSE_STEPS=all takes every n; without it, each eleventh. test_survival.py kills runs of the whole platform.
"""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.loaded import LoadedStore
from ansible_collections.sse.platform.plugins.module_utils.deploy.made import MadeStore
from ansible_collections.sse.platform.plugins.module_utils.deploy.stack_firewall import StackFirewall
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine
from ansible_collections.sse.platform.plugins.module_utils.releases.release_store import ReleaseStore
from ansible_collections.sse.platform.tests.stacks import pairs
from ansible_collections.sse.platform.tests.stacks.pairs import RELOAD, STACK, Drawn
from ansible_collections.sse.platform.tests.stacks.small import Small, there

STEPS = 60  # more than the change has
EVERY = 1 if os.environ.get("SSE_STEPS") == "all" else 11
DOES: dict[type, tuple[str, ...]] = {
    Engine: ("create", "start", "stop", "rename", "remove", "connect", "disconnect", "update", "signal", "tag"),
    Files: ("write", "prune", "forget"),
    LoadedStore: ("write", "forget"),
    MadeStore: ("write", "forget"),
    ReleaseStore: ("write",),
    StackFirewall: ("ensure",),
}


def drawn(**changes: dict[str, Any]) -> Drawn:
    """Return a release of these containers, each with what differs from a plain one."""
    containers = {name: {**pairs.plain(name), **one} for name, one in changes.items()}
    return Drawn("single", containers, "s1")


BEFORE = drawn(
    one={"config": {"/etc/drawn": {"a.conf": "a 1\n"}}, "reload": RELOAD},
    two={"environment": {"A": "1"}, "data": {"/data": "kept"}},
    three={},
    **{"app-1": {"environment": {"A": "1"}}, "app-2": {"environment": {"A": "1"}}},
)
AFTER = drawn(
    one={"config": {"/etc/drawn": {"a.conf": "a 2\n"}}, "reload": RELOAD},
    two={"environment": {"A": "2"}, "data": {"/data": "kept"}},
    **{f"app-{number}": {"environment": {"A": "2"}} for number in (1, 2, 3)},
)


def die_before(number: int) -> None:
    """Have this process killed before the n-th thing that it does."""
    left = [number]

    def counting(method: Any) -> Any:
        def does(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*arguments, **named)

        return does

    for kind, names in DOES.items():
        for name in names:
            setattr(kind, name, counting(getattr(kind, name)))


def killed(small: Small, number: int) -> bool:
    """Run the change in a process of its own that is killed; tell whether it got so far."""
    release = AFTER.release(small.images)
    child = os.fork()
    if not child:
        code = 1
        try:
            die_before(number)
            small.request(release, AFTER, check=False, to_make=set(), parallel=1)
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


@pytest.mark.parametrize("step", range(1, STEPS, EVERY))
def test_a_run_that_is_killed_before_any_of_its_steps_is_finished_by_the_next(small: Small, step: int) -> None:
    release = BEFORE.release(small.images)
    small.make_networks(release, small.missing_networks(release))
    small.request(release, BEFORE, check=False, to_make=set())
    kept = small.state / f"data/{STACK}-two/kept/file"
    kept.write_text("kept")

    if not killed(small, step):
        pytest.skip("the change has fewer steps")
    after = AFTER.release(small.images)
    promised = small.request(after, AFTER, check=True, to_make=set()).changes
    assert small.request(after, AFTER, check=False, to_make=set()).changes == promised
    there(small, after, AFTER)
    assert kept.read_text() == "kept"
    assert small.drift() == []
    assert not small.request(after, AFTER, check=True, to_make=set()).changes
