"""The audit of what runs: the declarations of the platform, and somebody else's project on the same engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from ansible_collections.sse.platform.tests.integration.stack import Stack

PROJECT = "it-stranger"
SECRET = "hunter2-5f1d"


@pytest.fixture
def stranger(stack: Stack) -> Iterator[None]:
    """A container with the labels of Compose that breaks several practices; it is created and never started."""
    image = stack.container("app-1").attrs["Config"]["Image"]
    labels = {"com.docker.compose.project": PROJECT, "com.docker.compose.service": "db"}
    made = stack.engine.containers.create(
        image, labels=labels, ports={"6379/tcp": 6379}, environment={"DB_PASSWORD": SECRET}, name=f"{PROJECT}-db-1"
    )
    network = stack.engine.networks.create(f"{PROJECT}_old", labels=labels)
    yield
    network.remove()
    made.remove()


def test_what_the_platform_declares_keeps_every_practice(stack: Stack) -> None:
    run = stack.tool("audit")
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("keep all") == 2  # the platform, and the dashboard


@pytest.mark.usefixtures("stranger")
def test_a_running_project_of_others_is_audited_by_its_name(stack: Stack) -> None:
    run = stack.tool("audit", PROJECT, "--json")
    assert run.returncode == 2, run.stderr
    found: list[dict[str, Any]] = json.loads(run.stdout)[PROJECT]
    assert [(one["id"], one["subject"]) for one in found] == [
        ("NET001", "db"),
        ("NET003", "db"),
        ("SEC001", "db"),
        ("NET007", f"{PROJECT}_old"),
        ("RUN002", "db"),
    ]
    assert SECRET not in run.stdout


def test_a_name_that_is_neither_a_file_nor_a_project_is_refused_with_what_there_is(stack: Stack) -> None:
    run = stack.tool("audit", "no-such-project")
    assert run.returncode == 1
    assert f"{stack.name}-platform" in run.stderr
