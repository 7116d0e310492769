"""The rendered declarations, once for all tests of roles."""

from __future__ import annotations

import pytest
from rendered import HOSTS, Rendered, render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """Every host of HOSTS."""
    return render(tmp_path_factory.mktemp("declarations"))


@pytest.fixture(params=HOSTS)
def each(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Every rendered host in turn."""
    return rendered[request.param]
