"""The rendered declarations, once for all tests of roles."""

from __future__ import annotations

import pytest
from rendered import ELSEWHERE, HOSTS, Rendered, render


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rendered]:
    """Every host of HOSTS and of ELSEWHERE."""
    return render(tmp_path_factory.mktemp("declarations"), HOSTS | ELSEWHERE)


@pytest.fixture(params=HOSTS)
def each(request: pytest.FixtureRequest, rendered: dict[str, Rendered]) -> Rendered:
    """Every rendered host of HOSTS in turn."""
    return rendered[request.param]
