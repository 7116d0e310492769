"""Read YAML as Compose does: by version 1.2, in which 22:22 and yes are text, with merge keys, and with limits."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from compose_files.nodes import OVERRIDE, RESET, Node, Place, ProjectError

DEPTH, VALUES, BYTES = 100, 100_000, 4 << 20  # no stack that somebody wrote comes near
INT = re.compile(r"([-+]?)(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
CONSTANTS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
TEXT = "tag:yaml.org,2002:str"
SEXAGESIMAL = re.compile(r"[-+]?[1-9][0-9_]*(:[0-5]?[0-9])+")
QUOTE = '{}{}: write "{}" in quotation marks: programs that read YAML 1.1 take it for the number {}'


@dataclass
class Raw:
    """A value as it stands in the file. An alias is the same object as its anchor."""

    kind: Literal["scalar", "list", "mapping"]
    line: int
    tag: str
    text: str = ""
    plain: bool = False
    inner: list[Raw] = field(default_factory=list["Raw"])  # of a mapping: key, value, key, value
    open: bool = True


class Reader:
    """Reads the documents of one file."""

    def __init__(self, file: str, home: Path) -> None:
        """Begin with the name of the file for messages, and with the directory that its paths begin at."""
        self.file, self.home, self.values = file, home, 0

    def read(self, data: bytes) -> list[Node]:
        """Return each document of the file.

        :raises ProjectError: where this is no YAML, or too much of it; the message names the line
        """
        if len(data) > BYTES:
            raise self.wrong(1, f"at most {BYTES >> 20} MiB", f"{len(data)} bytes")
        text = self.decoded(data)
        try:
            return [self.node(one, "", 0) for one in self.documents(text)]
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line = mark.line + 1 if mark else 1
            lines = text.splitlines()
            shown = lines[line - 1] if line <= len(lines) else ""
            if shown[: len(shown) - len(shown.lstrip())].count("\t"):
                raise self.wrong(line, "spaces for indentation", "a tab") from None
            raise self.wrong(line, "YAML", f"an error: {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise self.wrong(1, "YAML", str(error).replace("\n", " ")) from None

    def wrong(self, line: int, expected: str, found: str) -> ProjectError:
        """Return an error that names a line."""
        return Node(None, "", Place(self.file, line)).refused(expected, found)

    def decoded(self, data: bytes) -> str:
        """Return the text of the file: UTF-8 or, with a mark at its beginning, UTF-16."""
        wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        try:
            return data.decode("utf-16" if wide else "utf-8-sig")
        except UnicodeDecodeError as error:
            line = data[: error.start].count(b"\n") + 1
            raise self.wrong(line, "text in UTF-8", f"the byte 0x{data[error.start]:02x}") from None

    def documents(self, text: str) -> Iterator[Raw]:
        """Yield what each document holds. Events have no depth, so no nesting can exhaust the stack."""
        stack: list[Raw] = []
        anchors: dict[str, Raw] = {}
        events = cast("Iterator[Any]", yaml.parse(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))  # type: ignore[reportUnknownMemberType]
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                anchors, stack = {}, []
            elif isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                done = stack.pop()
                done.open = False
                if not stack:
                    yield done
            elif isinstance(event, yaml.NodeEvent):
                made = self.raw(event, anchors)
                if stack:
                    stack[-1].inner.append(made)
                if isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent)):
                    stack.append(made)
                    if len(stack) > DEPTH:
                        raise self.wrong(made.line, f"at most {DEPTH} levels", "more")
                elif not stack:
                    yield made

    def raw(self, event: Any, anchors: dict[str, Raw]) -> Raw:
        """Return what an event begins."""
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent):
            named = anchors.get(event.anchor)
            if named is None or named.open:
                found = f"the alias *{event.anchor}, " + ("which holds itself" if named else "which stands nowhere")
                raise self.wrong(line, "an alias of something above", found)
            return named
        if isinstance(event, yaml.ScalarEvent):
            made = Raw("scalar", line, event.tag or "", event.value, not event.style, open=False)
        else:
            made = Raw("list" if isinstance(event, yaml.SequenceStartEvent) else "mapping", line, event.tag or "")
        if event.anchor:
            anchors[event.anchor] = made
        return made

    def node(self, raw: Raw, path: str, depth: int) -> Node:
        """Return a value with its path, aliases and merge keys followed."""
        self.values += 1
        if self.values > VALUES or depth > DEPTH:
            raise self.wrong(raw.line, f"at most {VALUES} values in {DEPTH} levels, aliases counted", "more")
        place = Place(self.file, raw.line, self.home)
        tag = raw.tag if raw.tag in {RESET, OVERRIDE} else ""
        if raw.kind == "scalar":
            return Node(scalar(raw), path, place, tag, raw.plain)
        if raw.kind == "list":
            inner = [self.node(one, f"{path}[{index}]", depth + 1) for index, one in enumerate(raw.inner)]
            return Node(inner, path, place, tag)
        return Node(self.mapping(raw, path, depth), path, place, tag)

    def mapping(self, raw: Raw, path: str, depth: int) -> dict[str, Node]:
        """Return the values of a mapping; those of its merge keys stand where it has none of its own."""
        found: dict[str, Node] = {}
        lines: dict[str, int] = {}
        merged: dict[str, Node] = {}
        for key, value in zip(raw.inner[::2], raw.inner[1::2], strict=True):
            if key.kind != "scalar":
                raise self.wrong(key.line, "a name as key", f"a {key.kind}")
            if key.plain and key.text == "<<":
                for one in value.inner if value.kind == "list" else [value]:
                    if one.kind != "mapping":
                        raise self.wrong(key.line, "a mapping to merge", f"a {one.kind}")
                    merged = {**self.mapping(one, path, depth + 1), **merged}
                continue
            if key.text in found:
                first = f"'{key.text}' again, which stands in line {lines[key.text]}"
                raise self.wrong(key.line, "each key once in a mapping", first)
            found[key.text] = self.node(value, f"{path}.{key.text}".lstrip("."), depth + 1)
            lines[key.text] = key.line
        return {**{key: one for key, one in merged.items() if key not in found}, **found}


def scalar(raw: Raw) -> str | float | bool | None:
    """Return a single value in the type that YAML 1.2 gives it, with the numbers that Compose's reader adds."""
    if not raw.plain or raw.tag == TEXT:
        return raw.text
    if raw.text in CONSTANTS:
        return CONSTANTS[raw.text]
    if match := INT.fullmatch(raw.text):
        digits = match[2].replace("_", "")
        octal = digits.startswith("0") and digits[1:].isdigit()
        with contextlib.suppress(ValueError):  # such as 0x_, and more digits than Python takes
            number = int(digits, 8 if octal else 0)
            return -number if match[1] == "-" else number
    return float(raw.text) if FLOAT.fullmatch(raw.text) else raw.text


def advice(node: Node) -> str:
    """Say what other programs would read instead of a text without quotation marks; empty where they agree."""
    if not (node.plain and isinstance(node.value, str) and SEXAGESIMAL.fullmatch(node.value)):
        return ""
    number = 0
    for part in node.value.replace("_", "").lstrip("+-").split(":"):
        number = number * 60 + int(part)
    return QUOTE.format(node.place, node.path, node.value, -number if node.value.startswith("-") else number)
