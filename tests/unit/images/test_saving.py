"""Images of this host's engine in one file; Molecule's cluster does it with an engine."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import pytest
from ansible_collections.sse.platform.plugins.module_utils.images.saving import save

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("script", "told"), [('echo "$@"', ""), ("echo no space left >&2; exit 1", "no space left")])
def test_images_are_packed_and_a_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    target = tmp_path / "images.tar.gz"
    assert save(["a:1", "b:2"], target) == told
    if not told:
        assert gzip.decompress(target.read_bytes()).endswith(b"save a:1 b:2\n")
