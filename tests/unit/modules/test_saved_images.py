"""Images that go from one host of a cluster to the others stay on no disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.modules import saved_images


def test_what_a_killed_run_left_is_removed_and_what_another_run_fetches_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saved_images, "MEANWHILE", str(tmp_path))
    kept = tmp_path / "other"
    kept.mkdir()
    (tmp_path / f"{saved_images.PREFIX}link").symlink_to(kept)
    for name, age in (("left", saved_images.LEFT_SECONDS + 60), ("now", 60)):
        made = tmp_path / f"{saved_images.PREFIX}{name}"
        made.mkdir()
        (made / "images.tar.gz").write_text("images")
        then = time.time() - age
        os.utime(made, (then, then))
    saved_images.forget_left()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["other", "sse-images-link", "sse-images-now"]
