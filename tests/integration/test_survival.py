"""What the stack survives: killed containers, killed runs, a neighbour.

test_interrupted.py kills a change of a small stack at any of its steps.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from ansible_collections.sse.platform.tests.integration.stack import Running, Stack, eventually


def test_nginx_restarts_with_a_replica_dead_and_the_api_answers(stack: Stack) -> None:
    stack.container("app-2").kill()
    stack.container("nginx").restart(timeout=5)
    eventually(stack.live_again, "the API through nginx")
    assert {stack.publish("it.dead", number).status_code for number in range(9)} == {202}


# One that the events pass, and one that only watches. test_soak.py kills each replica, Redis, Kafka and NGINX.
@pytest.mark.parametrize("victim", ["app-1", "prometheus"])
def test_one_killed_container_leaves_the_others_serving_and_status_shows_it(stack: Stack, victim: str) -> None:
    others = {name: seen for name, seen in stack.ids().items() if name != f"it-{victim}"}
    stack.container(victim).kill()
    try:
        eventually(lambda: stack.api("/health/live").status_code == 200, "the API through nginx", 5)
        assert all(stack.ids()[name] == seen for name, seen in others.items())
        output = stack.play("status").output
        shown = {line.split()[0]: line.split()[1] for line in output.splitlines() if line.strip().startswith("it-")}
        assert shown[f"it-{victim}"] == "exited"
        assert len(shown) == len(others) + 1
        assert stack.verify().code != 0
    finally:
        stack.container(victim).start()
        eventually(stack.live_again, "the API is ready again", 60)


class Kill:
    """Kills a run at the moment when the engine does something for the n-th time."""

    def __init__(self, stack: Stack, moment: tuple[str, str, int]) -> None:
        self.stack = stack
        self.kind, self.action, self.left = moment
        self.ready = threading.Event()
        self.running: Running | None = None

    def __call__(self, event: dict[str, Any]) -> None:
        if (event["type"], event["action"]) == (self.kind, self.action):
            self.left -= 1
            if self.left == 0:
                self.ready.wait()
                assert self.running
                self.running.kill()

    def during(self, **variables: Any) -> None:
        """Run ``up`` until the moment."""
        with self.stack.events() as events:
            events.watch(self)
            self.running = self.stack.begin("site", **variables)
            self.ready.set()
            self.running.process.wait(timeout=120)
        assert self.running.process.returncode == -9, f"the run ended before {self.kind} {self.action}"


def whole(stack: Stack) -> None:
    """A run after the killed one ends well, leaves nothing half-made, and the next finds nothing to do."""
    stack.up()
    names = set(stack.containers())
    assert not [name for name in names if name.endswith(("-next", "-previous"))]
    assert all(one.status == "running" for one in stack.containers().values())
    assert (again := stack.up()).unchanged, again.output


@pytest.mark.whole
def test_a_first_deployment_killed_again_and_again_converges_beside_another_stack(
    deployed: Stack, other: Stack
) -> None:
    before = deployed.ids()
    for moment in (("network", "create", 1), ("container", "start", 3)):
        Kill(other, moment).during()
    whole(other)
    assert other.verify().code == 0
    assert deployed.verify().code == 0
    other.destroy()
    assert other.containers() == {}
    assert deployed.ids() == before
    assert deployed.verify().code == 0


def test_the_dashboard_alone_fails_clearly_where_there_is_no_network(other: Stack) -> None:
    run = other.play("dashboard")
    assert run.code != 0
    assert "it2-network" in run.output
    assert "does not exist" in run.output
    assert other.containers() == {}
