"""One stack for all tests of a session; each test leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.sse.platform.tests.integration.pairs import STACK
from ansible_collections.sse.platform.tests.integration.small import Small
from ansible_collections.sse.platform.tests.integration.stack import Stack


@pytest.fixture(scope="session")
def deployed() -> Iterator[Stack]:
    """A stack of its own beside whatever runs on this machine; gone afterwards."""
    stack = Stack("it", "10.88.0.0/24", 18080)
    stack.destroy()
    stack.up()
    yield stack
    stack.destroy()


@pytest.fixture
def stack(deployed: Stack) -> Iterator[Stack]:
    """The session's stack; a test that changed it has it put back."""
    before = {name: one.attrs["Config"] for name, one in deployed.containers().items()}
    yield deployed
    after = {name: one.attrs["Config"] for name, one in deployed.containers().items() if one.status == "running"}
    if after != before:
        deployed.up()


@pytest.fixture
def other() -> Iterator[Stack]:
    """A second stack, small, that starts from nothing."""
    stack = Stack("it2", "10.89.0.0/24", 18180, app_replicas=1)
    stack.destroy()
    yield stack
    stack.destroy()


@pytest.fixture(scope="session")
def small(request: pytest.FixtureRequest) -> Iterator[Small]:
    """The small stack, with two images that are on this machine; gone afterwards."""
    engine: Any = docker.from_env()
    tags = [tag for image in engine.images.list() for tag in image.tags]

    def some(name: str) -> str:
        return next((tag for tag in tags if f"/{name}:" in f"/{tag}"), "")

    images = {"first": some("redis"), "second": some("nginx")}
    if not all(images.values()):
        stack = request.getfixturevalue("deployed")
        images = {
            "first": stack.container("redis-master").attrs["Config"]["Image"],
            "second": stack.container("nginx").attrs["Config"]["Image"],
        }
    found = Small(Path(f"/var/lib/{STACK}-platform"), images)
    found.tear_down()
    yield found
    found.tear_down()
