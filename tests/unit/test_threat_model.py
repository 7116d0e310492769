"""Each claim of docs/threat-model.md names the tests that hold it, and every one of them exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/threat-model.md"


class Claim(NamedTuple):
    """One line of a table."""

    text: str
    tests: list[str]  # file::name, or a directory of Molecule


def claims(page: str) -> Iterator[Claim]:
    """Yield the lines of every table whose last column says what holds the first."""
    held = False
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            held = False
        elif cells[-1] == "held by":
            held = True
        elif held and set(cells[0]) != {"-"}:
            yield Claim(cells[0], re.findall(r"`([^`]+)`", cells[-1]))


def missing(test: str) -> str:
    """Say what is wrong with the name of a test; an empty answer means that it exists."""
    name, __, wanted = test.partition("::")
    path = ROOT / name
    if re.fullmatch(r"molecule/[a-z-]+", test):
        return "" if (path / "molecule.yml").is_file() else f"{test}: there is no such scenario"
    if not path.is_file():
        return f"{test}: there is no file {name}"
    if path.suffix == ".py":
        nodes = ast.walk(ast.parse(path.read_text()))
        found = {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
        return "" if wanted in found and wanted.startswith("test_") else f"{test}: there is no such test"
    return "" if wanted and f"it('{wanted}'" in path.read_text() else f"{test}: there is no such test"


def test_every_claim_names_tests_that_exist() -> None:
    found = list(claims(PAGE.read_text()))
    assert len(found) > 30
    assert [one.text for one in found if not one.tests] == []
    assert [problem for one in found for test in one.tests if (problem := missing(test))] == []


def test_no_claim_is_made_twice() -> None:
    found = [one.text for one in claims(PAGE.read_text())]
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ("tests/unit/test_threat_model.py::test_no_claim_is_made_twice", ""),
        ("tests/unit/test_threat_model.py::test_of_yesterday", "no such test"),
        ("tests/unit/test_threat_model.py::missing", "no such test"),
        ("tests/unit/test_gone.py::test_it", "no file"),
        ("tests/unit/test_threat_model.py", "no such test"),
        ("molecule/segmented", ""),
        ("molecule/nothing", "no such scenario"),
        ("dashboard/browser/views/overview.test.ts::shows nothing", "no such test"),
    ],
)
def test_what_does_not_exist_is_named(test: str, said: str) -> None:
    assert (said in missing(test)) if said else not missing(test)
