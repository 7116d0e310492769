"""The README of a role is made from its argument specs."""

from __future__ import annotations

from pathlib import Path

import pytest
import role_docs

ROLES = sorted((Path(__file__).resolve().parents[3] / "roles").iterdir())


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_readme_agrees_with_the_argument_specs(role: Path) -> None:
    written = (role / "README.md").read_text()
    assert written == role_docs.page(role), "run: .venv/bin/python tools/role_docs.py"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Only for C(./sse lab).", "Only for `./sse lab`."),
        (["Empty for O(stack_name).", "V(*) means all."], "Empty for `stack_name`. `*` means all."),
        ("a name, prefix.* or a|b", r"a name, prefix.\* or a\|b"),
    ],
)
def test_markup_of_ansible_becomes_markdown(text: str | list[str], written: str) -> None:
    assert role_docs.markdown(text) == written
