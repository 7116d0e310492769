"""A template gives the same from kept code as when Jinja compiles it, and nothing but code is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
from ansible._internal._datatag._tags import Origin
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.sse.platform.plugins.plugin_utils import compiled_templates

SECRET = "hunter2-5f1d"
VARIABLES: dict[str, Any] = {"password": SECRET, "names": ["a", "b"]}
TEXTS = (
    "{{ password }}",
    "{{ names | map('upper') | join(', ') }}{% if names %} yes{% endif %}\n",
    "{{ names | length }}",
    r"{{ 'a\nb' }}",
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new" / "templates"


def rendered(file: Path, *, escapes: bool = True, origin: str = f"{compiled_templates.OURS[0]}x.yml") -> list[Any]:
    with compiled_templates.kept(file):
        return plain(escapes=escapes, origin=origin)


def refuse(*_: Any, **__: Any) -> None:
    raise AssertionError


def plain(*, escapes: bool = True, origin: str = "/x.yml") -> list[Any]:
    templar = Templar(loader=DataLoader(), variables=VARIABLES)
    texts = [trust_as_template(Origin(path=origin).tag(text)) for text in TEXTS]
    return [templar.template(text, escape_backslashes=escapes) for text in texts]


def test_kept_code_renders_the_same_and_nothing_is_compiled_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = plain()
    assert rendered(file) == expected
    monkeypatch.setattr(jinja2.Environment, "_generate", refuse)
    assert rendered(file) == expected


def test_how_a_text_is_read_makes_code_of_its_own(file: Path) -> None:
    assert plain() != plain(escapes=False)
    assert (rendered(file), rendered(file, escapes=False)) == (plain(), plain(escapes=False))


def test_no_value_is_kept_and_nobody_else_may_read_the_code(file: Path) -> None:
    rendered(file)
    assert SECRET.encode() not in file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0
    assert list(file.parent.iterdir()) == [file]


def test_a_text_of_a_users_file_is_never_kept(file: Path) -> None:
    assert rendered(file, origin="/home/user/inventory/hosts.yml") == plain()
    assert not file.exists()


@pytest.mark.parametrize("content", [b"", b"damaged", b"\xe9\x05\x00\x00\x00"])
def test_a_damaged_file_is_written_anew(file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    assert rendered(file) == plain()
    assert compiled_templates.read(file)


def test_code_of_other_versions_is_not_used(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(file)
    monkeypatch.setattr(jinja2, "__version__", "0")
    assert compiled_templates.read(file) == {}


def test_code_that_others_could_have_written_is_not_run(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(file)
    with monkeypatch.context() as another:
        another.setattr(compiled_templates.os, "geteuid", lambda: file.stat().st_uid + 1)
        assert compiled_templates.read(file) == {}
    file.chmod(0o620)
    assert compiled_templates.read(file) == {}


def test_without_a_place_to_write_it_is_only_compiled(file: Path) -> None:
    file.parent.write_text("no directory")
    assert rendered(file) == plain()


def test_after_the_block_ansible_compiles_as_ever(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rendered(file)
    monkeypatch.setattr(compiled_templates.marshal, "loads", refuse)
    plain()
