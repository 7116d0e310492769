"""Compare a Compose file with the JSON schema of the Compose Specification (compose-spec.json)."""

from __future__ import annotations

import difflib
import functools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from compose_files.nodes import WORDS, Node

Schema = dict[str, Any]
NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "nothing",
}
# Nothing of these parts of a service is audited, so a key that a later version of Compose knows is no reason to stop.
UNREAD = re.compile(r"services\.[^.]+\.(build|develop)\.")
NUMBER = re.compile(r"-?\d+(\.\d+)?")


class Problem(NamedTuple):
    """What is not as the schema says."""

    node: Node
    expected: str
    found: str = ""
    mild: bool = False  # the file can be audited all the same


@functools.cache
def whole() -> Schema:
    """Return the schema of a file."""
    return json.loads(Path(__file__).with_name("compose-spec.json").read_text())


def problems(node: Node) -> Iterator[Problem]:
    """Yield what is wrong with a file; what it left empty is right everywhere but as a service."""
    yield from look(node, whole())
    for key, one in node["services"].mapping().items():
        if one.value is None and not one.tag:
            yield Problem(one, f"a mapping, with an image or a build, for the service '{key}'")


def look(node: Node, schema: Schema) -> Iterator[Problem]:
    """Yield what is wrong with one value and with what it holds."""
    if "$ref" in schema:
        yield from look(node, whole()["definitions"][schema["$ref"].rpartition("/")[2]])
        return
    if node.value is None or node.tag == "!reset":
        return
    if "oneOf" in schema:
        yield from look_at_one(node, schema["oneOf"])
        return
    fits = [kind for kind in kinds(schema) if is_a(node, kind)]
    if kinds(schema) and not fits:
        expected = " or ".join(dict.fromkeys(NAMES[kind] for kind in kinds(schema) if kind != "null"))
        number = isinstance(node.value, (int, float))
        mild = number and "string" in kinds(schema)
        yield Problem(node, f"{expected}: write {node} in quotation marks" if mild else expected, mild=mild)
        return
    yield from look_at_value(node, schema)
    if isinstance(node.value, dict):
        yield from look_into(node, node.value, schema)
    elif isinstance(node.value, list):
        for one in node.value:
            yield from look(one, schema.get("items", {}))


def kinds(schema: Schema) -> list[str]:
    """Return the types that a schema names."""
    if "$ref" in schema:
        return kinds(whole()["definitions"][schema["$ref"].rpartition("/")[2]])
    if "oneOf" in schema:
        return [kind for one in schema["oneOf"] for kind in kinds(one)]
    named = schema.get("type", [])
    return [named] if isinstance(named, str) else list(named)


def is_a(node: Node, kind: str) -> bool:
    """Tell whether a value has a type. Text may stand for what Compose makes of it, such as "5" for 5."""
    value = node.value
    if isinstance(value, str):
        if kind == "boolean":
            return bool(node.unknown) or value.lower() in WORDS
        if kind in {"integer", "number"}:
            return bool(node.unknown or NUMBER.fullmatch(value))
        return kind == "string"
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, (int, float)):
        return kind == "number" or (kind == "integer" and float(value).is_integer())
    return kind == ("object" if isinstance(value, dict) else "array")


def look_at_one(node: Node, choices: list[Schema]) -> Iterator[Problem]:
    """Yield what is wrong with a value of several forms: of those that have its type, the first."""
    fitting = [one for one in choices if not kinds(one) or any(is_a(node, kind) for kind in kinds(one))]
    if not fitting:
        yield from look(node, {"type": [kind for one in choices for kind in kinds(one)]})
        return
    found = [list(look(node, one)) for one in fitting]
    if all(found):
        yield from found[0]


def look_at_value(node: Node, schema: Schema) -> Iterator[Problem]:
    """Yield what is wrong with a single value of the right type."""
    if node.unknown:
        return
    if "enum" in schema and node.value not in schema["enum"]:
        yield Problem(node, "one of " + ", ".join(map(str, schema["enum"])), "something else")
    if "pattern" in schema and isinstance(node.value, str) and not re.search(schema["pattern"], node.value):
        yield Problem(node, f"text of the form {schema['pattern']}", "something else")
    if isinstance(node.value, (int, float)):
        if node.value < schema.get("minimum", node.value):
            yield Problem(node, f"at least {schema['minimum']}", str(node))
        if node.value > schema.get("maximum", node.value):
            yield Problem(node, f"at most {schema['maximum']}", str(node))


def look_into(node: Node, given: dict[str, Node], schema: Schema) -> Iterator[Problem]:
    """Yield what is wrong with the keys of a mapping."""
    known: dict[str, Schema] = schema.get("properties", {})
    patterns: dict[str, Schema] = schema.get("patternProperties", {})
    others: Schema | bool = schema.get("additionalProperties", True)
    for key in schema.get("required", ()):
        if key not in given:
            yield Problem(node, f"the key '{key}'", "none")
    for key, one in given.items():
        inner = known.get(key) or next((found for form, found in patterns.items() if re.search(form, key)), None)
        if inner is not None:
            yield from look(one, inner)
        elif key in known:
            continue
        elif isinstance(others, dict):
            yield from look(one, others)
        elif not others:
            mild = UNREAD.match(one.path) is not None
            yield Problem(one, known_keys(key, known, patterns), f"'{key}'", mild)


def known_keys(key: str, known: dict[str, Schema], patterns: dict[str, Schema]) -> str:
    """Say what stands instead of an unknown key."""
    near = difflib.get_close_matches(key, known, n=1)
    if near:
        return f"a key of the Compose Specification (did you mean '{near[0]}'?)"
    if not known:
        return f"a name of the form {next(iter(patterns), 'x-...')}"
    return "a key of the Compose Specification (" + ", ".join(sorted(known)) + ")"
