"""A file that a tool writes is new, private, and never somewhere else than where it was asked for."""

from __future__ import annotations

import ast
import stat
from pathlib import Path
from typing import Any

import private_file
import pytest
from ansible_collections.sse.platform.plugins.module_utils.deploy import backup_package
from sse_app import keys

ROOT = Path(__file__).resolve().parents[3]
# What writes files of this repository, or in a directory of its own, and nothing of a user.
OWN = {
    "dashboards.py",
    "docs_site.py",
    "role_docs.py",
    "service_docs.py",
    "sanity.py",
    "test.py",
    "lint.py",
    "packing.py",
    "private_file.py",
}


MANIFEST: Any = {}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_is_private_and_an_earlier_one_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "packets.pcap"
    with private_file.create(path) as stream:
        stream.write(b"x")
    assert mode(path) == 0o600
    with pytest.raises(SystemExit, match="exists, and is not overwritten"):
        private_file.create(path)
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_not_followed(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    if there:
        target.write_text("mine")
    link.symlink_to(target)
    with pytest.raises(SystemExit):
        private_file.create(link)
    (tmp_path / ".link.new").symlink_to(target)
    private_file.replace(link, "picture")
    assert (link.read_text(), link.is_symlink(), mode(link)) == ("picture", False, 0o600)
    assert (target.read_text() if there else target.exists()) == ("mine" if there else False)


def test_a_key_is_written_past_every_link(tmp_path: Path) -> None:
    path, target = tmp_path / "keys.json", tmp_path / "target"
    target.write_text("mine")
    (tmp_path / ".keys.json.new").symlink_to(target)
    assert keys.main([str(path), "orders", "--publish", "orders.*"]) == 0
    assert target.read_text() == "mine"
    assert mode(path) == 0o600
    path.unlink()
    path.symlink_to(target)
    assert keys.main([str(path), "orders", "--publish", "orders.*"]) == 1  # it holds no keys
    assert target.read_text() == "mine"


def test_a_link_that_comes_back_meanwhile_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody puts it there between its removal and the new file."""
    target, state = tmp_path / "target", tmp_path / "state"
    target.write_text("mine")
    state.touch()
    for name in (".keys.json.new", ".backup.new"):
        (tmp_path / name).symlink_to(target)
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)
    assert keys.main([str(tmp_path / "keys.json"), "orders", "--publish", "orders.*"]) == 1
    with pytest.raises(backup_package.BackupError):
        backup_package.pack(tmp_path / "backup", MANIFEST, {}, state, "a passphrase that is long enough")
    assert target.read_text() == "mine"


def test_every_tool_writes_through_this_one() -> None:
    found: list[str] = []
    for path in (one for one in (ROOT / "tools").glob("*.py") if one.name not in OWN):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                writes = node.func.attr in {"write_text", "write_bytes", "touch"}
                opens = node.func.attr == "open" and any(
                    isinstance(one, ast.Constant) and set(str(one.value)) & {"w", "a", "x"} for one in node.args
                )
                if writes or opens:
                    found.append(f"{path.name}:{node.lineno}")
    assert found == []
