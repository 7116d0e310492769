"""A small stack for tests that need no whole platform."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from ansible_collections.sse.platform.tests.stacks.pairs import STACK
from ansible_collections.sse.platform.tests.stacks.small import Small


@pytest.fixture(scope="session")
def small() -> Iterator[Small]:
    """The small stack, with two images of the platform (tests/engine.yml); gone afterwards."""
    engine: Any = docker.from_env()
    tags = [tag for image in engine.images.list() for tag in image.tags]

    def some(name: str) -> str:
        return next(tag for tag in tags if f"/{name}:" in f"/{tag}")

    found = Small(Path(f"/var/lib/{STACK}-platform"), {"first": some("redis"), "second": some("nginx")})
    found.tear_down()
    yield found
    found.tear_down()
