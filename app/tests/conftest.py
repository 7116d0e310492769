from __future__ import annotations

import logging
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import coverage
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # importmode=importlib leaves it out

import broker
from redis_server import RedisServer
from sse_harness import Replicas


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kafka: needs a real broker, named by KAFKA_BROKERS")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)


@pytest.fixture(scope="session")
def replica() -> Iterator[Replicas]:
    """One replica for every test that does not bend it."""
    with Replicas(
        max_body_bytes=20_000, max_batch_events=50, max_channels_per_stream=5, replica="replica-1"
    ) as started:
        yield started


@pytest.fixture
def coverage_paused(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave coverage.py out of a test that measures memory or time, and of the processes that the test starts."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    measuring = coverage.Coverage.current()
    if measuring:
        measuring.stop()
    yield
    if measuring:
        measuring.start()


@pytest.fixture
def channel(request: pytest.FixtureRequest) -> str:
    """A channel of the test's own."""
    return "".join(character for character in request.node.name if character.isalnum() or character in "._-")[:150]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis of the test's own."""
    server = RedisServer(tmp_path)
    yield server
    server.stop()


@pytest.fixture
def topic() -> Iterator[str]:
    """A topic of the test's own, on a real broker."""
    name = f"test-{uuid.uuid4()}"
    yield name
    broker.administer(lambda admin: admin.delete_topics([name]))
