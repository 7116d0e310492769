"""What is read of containers to verify them: what somebody did to a file ends no verification."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from ansible_collections.sse.platform.plugins.module_utils.verify.running import Running, Subject

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Engine:
    """An engine without containers."""

    def containers(self) -> list[Any]:
        return []


@pytest.mark.parametrize(
    ("does", "read"),
    [
        (lambda path: None, "word"),
        (lambda path: path.unlink(), ""),
        (lambda path: path.write_bytes(b"\xff"), "\ufffd"),
    ],
)
def test_a_secret_that_is_gone_or_overwritten_is_sent_as_it_is(
    tmp_path: Path, does: Callable[[Path], None], read: str
) -> None:
    path = tmp_path / "secrets" / "password"
    path.parent.mkdir()
    path.write_text("word")
    does(path)
    assert Running(cast("Any", Engine()), str(tmp_path), []).secret("password") == read
    mounts = [{"Destination": "/run/a", "Source": str(path.parent)}]
    spec: Any = {"secrets": {"/run/a": {"password": {"secret": "password", "format": "{}"}}}}
    assert Subject("s-a", spec, cast("Any", {"Mounts": mounts})).secret("password") == read
