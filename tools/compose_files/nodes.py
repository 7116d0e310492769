"""A value of a Compose file, with the file and the line that it stands in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.views.project import ProjectError

RESET, OVERRIDE = "!reset", "!override"  # tags of Compose: without the value of earlier files, and instead of it
# Besides true and false: what Compose takes for a boolean where one is expected.
WORDS = {"true": True, "yes": True, "y": True, "on": True, "false": False, "no": False, "n": False, "off": False}


@dataclass(frozen=True)
class Place:
    """Where something stands, and the directory that relative paths there begin at."""

    file: str = ""
    line: int = 0
    home: Path = Path()

    def __str__(self) -> str:
        """Return file and line, followed by ": "; empty where there is no file."""
        return f"{self.file}:{self.line}: " if self.file else ""


@dataclass(frozen=True)
class Node:
    """A mapping, a list or a single value. What is absent has the value None, as an empty one has."""

    value: dict[str, Node] | list[Node] | str | float | bool | None
    path: str = ""
    place: Place = field(default=Place(), compare=False)
    tag: str = ""
    plain: bool = field(default=False, compare=False)  # written without quotation marks
    unknown: tuple[str, ...] = ()  # variables in the text that nothing sets: it still has ${NAME} for each

    def __getitem__(self, key: str) -> Node:
        """Return the value of a key of a mapping."""
        return self.mapping().get(key, Node(None, f"{self.path}.{key}".lstrip("."), self.place))

    def mapping(self) -> dict[str, Node]:
        """Return the values of a mapping by their keys."""
        if self.value is None:
            return {}
        if not isinstance(self.value, dict):
            raise self.refused("a mapping")
        return self.value

    def items(self) -> list[Node]:
        """Return the values of a list; a single value is a list of one."""
        if self.value is None:
            return []
        if isinstance(self.value, dict):
            raise self.refused("a list")
        return self.value if isinstance(self.value, list) else [self]

    def pairs(self) -> dict[str, Node]:
        """Return a mapping, or a list of ``NAME=value`` as one; a name without a value has the value None."""
        if isinstance(self.value, dict) or self.value is None:
            return self.mapping()
        found: dict[str, Node] = {}
        for one in self.items():
            name, equals, text = str(one).partition("=")
            found[name] = replace(one, value=text if equals else None)
        return found

    def names(self) -> list[str]:
        """Return names that are a list or the keys of a mapping."""
        return list(map(str, self.items())) if isinstance(self.value, list) else list(self.mapping())

    def flag(self) -> bool:
        """Tell whether a boolean is true, also where it is written as text."""
        return WORDS.get(self.value.lower(), False) if isinstance(self.value, str) else bool(self.value)

    def limit(self) -> bool:
        """Tell whether a limit limits anything: 0 and -1 do not."""
        return bool(self.value) and not str(self).startswith("-") and bool(str(self).strip("0bkmgBKMG. "))

    def __str__(self) -> str:
        """Return the value as text; empty where it is absent."""
        if isinstance(self.value, bool):
            return str(self.value).lower()
        return "" if self.value is None else f"{self.value:g}" if isinstance(self.value, float) else str(self.value)

    def __bool__(self) -> bool:
        """Tell whether there is something, even an empty text."""
        return self.value is not None and (not isinstance(self.value, (dict, list)) or bool(self.value))

    def kind(self) -> str:
        """Say what this is, without showing it: it may be a secret."""
        if self.value is None:
            return "nothing"
        if isinstance(self.value, dict):
            return "a mapping"
        if isinstance(self.value, list):
            return "a list"
        if isinstance(self.value, str):
            return "text"
        return "true or false" if isinstance(self.value, bool) else "a number"

    def said(self, expected: str, found: str = "") -> str:
        """Return a sentence that names the place, what was expected and what was found."""
        return f"{self.place}{self.path or 'the file'}: expected {expected}, found {found or self.kind()}"

    def refused(self, expected: str, found: str = "") -> ProjectError:
        """Return this sentence as an error."""
        return ProjectError(self.said(expected, found))


def of(value: Any, path: str = "") -> Node:
    """Return the node of plain values."""
    if isinstance(value, Mapping):
        made = {str(key): of(one, f"{path}.{key}".lstrip(".")) for key, one in value.items()}  # type: ignore[reportUnknownVariableType]
        return Node(made, path)
    if isinstance(value, list | tuple):
        return Node([of(one, f"{path}[{index}]") for index, one in enumerate(value)], path)  # type: ignore[reportUnknownVariableType]
    return Node(value, path)


def each(node: Node, change: Callable[[Node], Node]) -> Node:
    """Return the node with every single value in it changed. What Compose leaves to others (``x-``) stays."""
    if isinstance(node.value, dict):
        kept = {key: one if key.startswith("x-") else each(one, change) for key, one in node.value.items()}
        return replace(node, value=kept)
    if isinstance(node.value, list):
        return replace(node, value=[each(one, change) for one in node.value])
    return change(node)


def leaves(node: Node) -> Iterator[Node]:
    """Yield every single value."""
    if isinstance(node.value, (dict, list)):
        for one in node.value.values() if isinstance(node.value, dict) else node.value:
            yield from leaves(one)
    else:
        yield node
