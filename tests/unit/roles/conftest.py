"""The rendered declarations, once for all tests of roles."""

from __future__ import annotations

import fcntl
import os

import pytest
from rendered import CLUSTERS, ELSEWHERE, HOSTS, Rendered, read, render


@pytest.fixture(scope="session")
def all_rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """All that one run renders; workers of one run share what the first of them renders."""
    hosts, base = HOSTS | ELSEWHERE | CLUSTERS, tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "declarations"
    directory.mkdir(exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / "done").exists():
            render(directory, hosts)
            (directory / "done").touch()
    return read(directory, hosts)


@pytest.fixture(scope="session")
def rendered(all_rendered: dict[str, Rendered]) -> dict[str, Rendered]:
    """Every host of HOSTS and of ELSEWHERE."""
    return {name: all_rendered[name] for name in HOSTS | ELSEWHERE}


@pytest.fixture(scope="session")
def clusters(all_rendered: dict[str, Rendered]) -> dict[str, Rendered]:
    """Every entry of CLUSTERS."""
    return {name: all_rendered[name] for name in CLUSTERS}


@pytest.fixture(params=HOSTS)
def each(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Every rendered host of HOSTS in turn."""
    return rendered[request.param]
