"""Imports go down from room to room, and no files import each other in a circle."""

from __future__ import annotations

from pathlib import Path

import pytest
from rooms import Package, complaints

ROOT = Path(__file__).parents[2]
PACKAGES = [
    Package(
        "ansible_collections.sse.platform.plugins.module_utils",
        ROOT / "plugins/module_utils",
        {
            "": 0,
            "model": 0,
            "settings": 1,
            "engine": 1,
            "host": 2,
            "images": 3,
            "preflight": 3,
            "releases": 3,
            "deploy": 4,
            "verify": 5,
            "doctor": 6,
            "views": 7,
            "lab": 7,
        },
    ),
    Package(
        "sse_app",
        ROOT / "app/sse_app",
        {"base": 0, "log": 1, "fanout": 2, "resume": 3, "access": 4, "http": 5, "": 6},
    ),
]


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_imports_go_down_only_and_in_no_circle(package: Package) -> None:
    assert complaints(package) == []


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [
        ("", "from p.low import a", []),
        ("from p.high import b", "", ["low/a.py:1 climbs: it imports p.high.b"]),
        ("def f():\n    from p import high", "", ["low/a.py:2 climbs: it imports p.high"]),
        ("if TYPE_CHECKING:\n    import p.high.b", "", ["low/a.py:2 climbs: it imports p.high.b"]),
        ("import_module('p.high.b')", "", ["low/a.py:1 climbs: it imports p.high.b"]),
        ("from p.beside import c", "", ["low/a.py:1 climbs: it imports p.beside.c"]),
        ("from p import top", "", ["low/a.py:1 climbs: it imports p.top"]),
        ("", "from p.high import d", ["circle: p.high.b -> p.high.d -> p.high.b"]),
        ("", "from p.high.b import itself", ["circle: p.high.b -> p.high.b"]),
    ],
)
def test_an_import_that_climbs_and_a_circle_are_named(tmp_path: Path, low: str, high: str, said: list[str]) -> None:
    for name, text in {
        "low/__init__": "",
        "low/a": low,
        "beside/c": "",
        "high/__init__": "",
        "high/b": high,
        "high/d": "if TYPE_CHECKING:\n    from p.high import b",
        "top": "from p.high import d",
    }.items():
        path = tmp_path / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert complaints(Package("p", tmp_path, {"low": 0, "beside": 0, "high": 1, "": 2})) == said


def test_a_room_without_a_rank_is_named(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/a.py").touch()
    assert complaints(Package("p", tmp_path, {"": 0})) == ["new: this room has no rank"]
