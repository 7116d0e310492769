"""A file appears in one step, with the permissions that were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_and_nothing_stays_beside_it(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "secret"
    path.write_text("old")
    (tmp_path / ".secret.new").write_text("left by a run that was killed")
    with path.open() as reader:
        write_file(path, "new", mode=0o400, durable=durable)
        assert reader.read() == "old"
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o400
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]
