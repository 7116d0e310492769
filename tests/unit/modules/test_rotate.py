"""The module that rotates a secret, as the playbook calls it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import run_lock
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.modules import rotate


def test_while_another_run_changes_the_stack_nothing_is_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(_: str) -> None:
        raise AssertionError("what the other run changes was read before it was over")

    monkeypatch.setattr(rotate, "newest_releases", read)
    options: dict[str, Any] = {"state_directory": str(tmp_path), "secret": "one", "meta": {}, "wait": 0}
    refused = pytest.raises(ApplyError, match=r"Another run still changes this stack: ./sse up")
    with run_lock.locked(str(tmp_path), {"asked": "up", "process": "1:2"}), refused:
        rotate.rotated(SimpleNamespace(params=options, check_mode=False))  # type: ignore[arg-type]
    assert [one.name for one in tmp_path.iterdir()] == ["lock"]
