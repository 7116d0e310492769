"""`./sse status --watch` says where it cannot watch: then what it shows is one look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import progress
from ansible_collections.sse.platform.plugins.modules import status


class Module:
    """What a module has of Ansible."""

    def __init__(self, path: str) -> None:
        self.params = {"stack": "sse", "state_directory": "/x", "watch": True, "progress": path, "watcher": 0}
        self.warned: list[str] = []
        self.result: dict[str, Any] = {}

    def warn(self, text: str) -> None:
        self.warned.append(text)

    def exit_json(self, **result: Any) -> None:
        self.result = result


@pytest.mark.parametrize(
    ("file", "why"), [(None, "takes SSH or this machine"), ("never made", "did not come about within 20 s")]
)
def test_a_host_that_cannot_be_watched_is_shown_once_with_the_reason(
    file: str | None, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = Module(str(tmp_path / file) if file else "")
    monkeypatch.setattr(status, "AnsibleModule", lambda **_: module)
    for name in ("Engine", "Watcher", "LoadedStore"):
        monkeypatch.setattr(status, name, lambda *_: None)
    monkeypatch.setattr(status, "look", lambda *_, first: ({"containers": [], "note": ""}, []))
    monkeypatch.setattr(status, "SECONDS", 0.01)
    monkeypatch.setattr(progress, "PATIENCE_SECONDS", 0.02)
    status.main()
    [warned] = module.warned
    assert why in warned
    assert "repeat ./sse status" in warned
    assert module.result["changed"] is False
