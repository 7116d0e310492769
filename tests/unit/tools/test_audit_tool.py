"""What `./sse audit` looks at in a cluster: the release that its first manager keeps, and no project of one host."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

import audit
import containers
import pytest
from ansible_collections.sse.platform.plugins.module_utils.views import project

if TYPE_CHECKING:
    from pathlib import Path


def test_a_cluster_is_audited_by_the_release_of_its_first_manager(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "hosts.ini").write_text("[managers]\na\n")
    options = argparse.Namespace(inventory=[str(tmp_path)], file=[], target=[], env_file=[])
    monkeypatch.setattr(containers, "applied", lambda _: ["the release"])
    monkeypatch.setattr(containers, "host", lambda *_, **__: pytest.fail("one host was asked"))
    monkeypatch.setattr(project, "from_release", lambda one: one)
    found: Any = audit.find(options)
    assert found == ["the release"]
    options.target = ["guestproject"]
    with pytest.raises(project.ProjectError, match="guestproject: no file has this name, and the projects of a cl"):
        audit.find(options)
