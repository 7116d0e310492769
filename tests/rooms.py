"""Checks the import rule of a package that is divided into rooms.

A room is a directory of the package; the files beside the rooms are the room "". A file imports from its own room and
from rooms of a lower rank, and no files import each other in a circle. Every import counts: also one for types alone,
one inside a function, and one by importlib.import_module.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Package:
    """A package by its dotted name, its directory, and the rank of each of its rooms."""

    name: str
    directory: Path
    ranks: Mapping[str, int]


def complaints(package: Package) -> list[str]:
    """A line for each room without a rank, each import that does not go down, and each circle of files."""
    files = {_module(package, path): path for path in sorted(package.directory.rglob("*.py"))}
    rooms = {module: _room(package, path) for module, path in files.items()}
    found = [f"{room}: this room has no rank" for room in sorted(set(rooms.values()) - package.ranks.keys())]
    graph: dict[str, list[str]] = {module: [] for module in files}
    for module, path in files.items():
        for line, imported in _imports(path.read_text(), set(files), package.name):
            graph[module].append(imported)
            here, there = rooms[module], rooms[imported]
            if here != there and not package.ranks.get(there, 0) < package.ranks.get(here, 0):
                found.append(f"{path.relative_to(package.directory)}:{line} climbs: it imports {imported}")
    return [*found, *(f"circle: {' -> '.join(circle)}" for circle in _circles(graph))]


def _module(package: Package, path: Path) -> str:
    parts = path.relative_to(package.directory).with_suffix("").parts
    return ".".join((package.name, *(part for part in parts if part != "__init__")))


def _room(package: Package, path: Path) -> str:
    parts = path.relative_to(package.directory).parts
    return parts[0] if len(parts) > 1 else ""


def _imports(source: str, modules: set[str], package: str) -> Iterator[tuple[int, str]]:
    """Lines and modules of the package that a file imports."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"line {node.lineno}: a relative import: expected an absolute one")
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in modules else str(node.module) for name in names]
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            names = [str(one.value) for one in node.args if isinstance(one, ast.Constant)]
        else:
            continue
        for name in names:
            if name in modules:
                yield node.lineno, name
            elif name == package or name.startswith(f"{package}."):
                raise ValueError(f"{name}: no such module")


def _circles(graph: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Every circle that a walk through the graph meets."""
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> Iterator[list[str]]:
        if module in way:
            yield [*way[way.index(module) :], module]
        elif module not in done:
            for imported in graph[module]:
                yield from walk(imported, [*way, module])
            done.add(module)

    for module in graph:
        yield from walk(module, [])
