"""The audit of what runs: the declarations of the platform, and somebody else's project on the same engine."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
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


def test_no_process_has_or_gets_a_capability_or_a_call_to_the_kernel_that_the_engine_forbids(stack: Stack) -> None:
    """As the kernel says (proc(5)) of each process of each container, whatever was declared."""
    filters = any("name=seccomp" in one for one in stack.engine.info()["SecurityOptions"])
    wanted = {"CapInh": "0", "CapPrm": "0", "CapEff": "0", "CapBnd": "0", "CapAmb": "0", "NoNewPrivs": "1"}
    if filters:
        wanted["Seccomp"] = "2"  # a filter; an engine without seccomp says so in `docker info`
    found: dict[str, list[dict[str, str]]] = {}
    for name, one in stack.containers().items():
        for pid, *_ in one.top(ps_args="-eo pid")["Processes"]:
            with contextlib.suppress(FileNotFoundError):  # a health check that has ended
                fields = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
                found.setdefault(name, []).append({key: fields[key].lstrip("0") or "0" for key in wanted})
    assert set(found) == set(stack.containers())
    assert {name: seen for name, seen in found.items() if any(one != wanted for one in seen)} == {}


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
