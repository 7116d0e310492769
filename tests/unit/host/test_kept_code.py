"""A host runs kept code only while it is whole and belongs to root alone, and keeps a few versions."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.host import kept_code

FILES = {"ansible/__init__.py": b"", "ansible/module_utils/basic.py": b"x = 1\n"}


def version(home: Path, files: dict[str, bytes] = FILES) -> str:
    name = kept_code.digest(files)
    descriptor = kept_code.keep(name, kept_code.packed(files), str(home))
    assert descriptor is not None
    os.close(descriptor)
    return name


def test_what_was_brought_is_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    name = version(home)
    assert kept_code.is_whole(name, str(home))
    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / name).stat().st_mode & 0o777 == 0o700


def test_what_python_compiles_beside_it_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    name = version(home)
    (home / name / "ansible/__pycache__").mkdir()
    (home / name / "ansible/__pycache__/basic.pyc").write_bytes(b"compiled")
    assert kept_code.is_whole(name, str(home))


@pytest.mark.parametrize("harm", ["changed", "emptied", "removed", "added", "opened", "home opened", "linked"])
def test_code_that_was_touched_is_not_run(tmp_path: Path, harm: str) -> None:
    home = tmp_path / "home"
    name = version(home)
    file = home / name / "ansible/module_utils/basic.py"
    if harm == "changed":
        file.write_text("x = 2\n")
    elif harm == "emptied":
        file.write_text("")
    elif harm == "removed":
        file.unlink()
    elif harm == "added":
        (home / name / "docker.py").write_text("")
    elif harm == "opened":
        (home / name).chmod(0o755)
    elif harm == "home opened":
        home.chmod(0o777)
    else:
        (home / name).rename(tmp_path / "elsewhere")
        (home / name).symlink_to(tmp_path / "elsewhere")
    assert not kept_code.is_whole(name, str(home))


def test_damaged_code_is_replaced_by_the_next_that_is_brought(tmp_path: Path) -> None:
    home = tmp_path / "home"
    name = version(home)
    (home / name / "ansible/module_utils/basic.py").write_text("")
    assert version(home) == name
    assert kept_code.is_whole(name, str(home))


def test_a_home_that_others_can_write_to_gets_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o777)
    with pytest.raises(PermissionError):
        version(home)
    assert not list(home.iterdir())


def test_a_module_runs_on_a_file_system_that_has_become_read_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []

    class Loader:
        @staticmethod
        def run_module(**given: Any) -> None:
            called.append(given["module_fqn"])

    def read_only(path: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    home = tmp_path / "home"
    name = version(home)
    let_go = kept_code.let_go
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    monkeypatch.setattr(kept_code, "HOME", str(home))
    monkeypatch.setattr(kept_code, "hold", lambda: os.open(home, os.O_RDONLY))
    monkeypatch.setattr(kept_code, "let_go", lambda descriptor: let_go(descriptor, str(home)))
    monkeypatch.setattr(kept_code, "is_whole", lambda version: version == name)
    monkeypatch.setattr(kept_code.importlib, "import_module", lambda _: Loader)
    monkeypatch.setattr(kept_code.gc, "set_threshold", lambda _: None)
    monkeypatch.setattr(kept_code.os, "utime", read_only)
    kept_code.run(name, "sse.platform.doctor", "{}", "x", None)
    assert called == ["sse.platform.doctor"]


def test_the_oldest_versions_go(tmp_path: Path) -> None:
    home = tmp_path / "home"
    names: list[str] = []
    for number in range(kept_code.MOST + 2):
        names.append(version(home, {**FILES, "n.py": str(number).encode()}))
        os.utime(home / names[-1], (number, number))
    assert {one.name for one in home.iterdir()} == set(names[-kept_code.MOST :])


def test_an_old_version_stays_while_another_run_holds_it(tmp_path: Path) -> None:
    home = tmp_path / "home"
    old = version(home)
    os.utime(home / old, (0, 0))
    other = held(home)
    for number in range(kept_code.MOST):
        version(home, {**FILES, "n.py": str(number).encode()})
    assert kept_code.is_whole(old, str(home))
    os.close(other)
    version(home, {**FILES, "n.py": b"the last"})
    assert not (home / old).exists()


def held(home: Path) -> int:
    descriptor = kept_code.hold(str(home))
    assert descriptor is not None
    return descriptor


def test_nothing_is_left_where_it_is_forgotten(tmp_path: Path) -> None:
    home = tmp_path / "home"
    version(home)
    descriptor = held(home)
    kept_code.forget(str(home))
    assert len(list(home.glob("*/ansible"))) == 1, "the module that asks for it still runs from it"
    kept_code.let_go(descriptor, str(home))
    assert not home.exists()


def test_code_that_another_run_holds_stays(tmp_path: Path) -> None:
    home = tmp_path / "home"
    name = version(home)
    other, descriptor = held(home), held(home)
    kept_code.forget(str(home))
    kept_code.let_go(descriptor, str(home))
    assert kept_code.is_whole(name, str(home))
    kept_code.let_go(other, str(home))
    assert kept_code.is_whole(name, str(home)), "it was asked for once"
