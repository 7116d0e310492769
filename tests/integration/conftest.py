"""One stack for all tests of a session; each test leaves it as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
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
