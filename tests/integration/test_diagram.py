"""The picture of what is deployed."""

from __future__ import annotations

from ansible_collections.sse.platform.tests.integration.stack import Stack


def test_the_picture_shows_every_container_that_runs_at_its_address(stack: Stack) -> None:
    run = stack.tool("diagram")
    assert run.returncode == 0, run.stderr
    for name, one in stack.containers().items():
        if "-app-" in name:
            continue  # replicas with the same connections are one box, from the first to the last
        [address] = {network["IPAddress"] for network in one.attrs["NetworkSettings"]["Networks"].values()}
        assert f'"{name}<br>{address}"' in run.stdout
    assert f"{stack.name}-app-1 … {stack.name}-app-3" in run.stdout
