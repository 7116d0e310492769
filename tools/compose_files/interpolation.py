"""Put variables into text by the rules of the Compose Specification (12-interpolation)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

# A dollar sign before anything else stays as it is.
START = re.compile(r"\$(?:(?P<dollar>\$)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<brace>\{))")
INNER = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<operator>:?[-?+])(?P<rest>.*))?", re.DOTALL)
FORMS = "$NAME, ${NAME}, or ${NAME} with one of :- - :? ? :+ + and a text before the brace; $$ is a dollar sign"
DEPTH = 20


class MalformedError(ValueError):
    """The text has ``${`` without a variable of one of the known forms after it."""


class Filled(NamedTuple):
    """A text with its variables put in."""

    text: str  # with ${NAME} for each variable that nothing sets
    unknown: tuple[str, ...] = ()  # their names
    required: tuple[str, ...] = ()  # what the file says of those that have to be set: "NAME: message"


def fill(text: str, values: Mapping[str, str], depth: int = 0) -> Filled:
    """Return the text with the values of its variables.

    :raises MalformedError: for what is no variable
    """
    if depth > DEPTH:
        raise MalformedError(f"more than {DEPTH} variables inside one another")
    made: list[Filled] = []
    at = 0
    for_now = START.search(text)
    while for_now:
        made.append(Filled(text[at : for_now.start()]))
        at = for_now.end()
        if for_now["dollar"]:
            made.append(Filled("$"))
        elif for_now["name"]:
            made.append(variable(for_now["name"], values))
        else:
            end = closing(text, at)
            made.append(braced(text[at:end], values, depth))
            at = end + 1
        for_now = START.search(text, at)
    made.append(Filled(text[at:]))
    return joined(made)


def joined(parts: list[Filled]) -> Filled:
    """Return several parts as one."""
    unknown = dict.fromkeys(name for part in parts for name in part.unknown)
    required = dict.fromkeys(one for part in parts for one in part.required)
    return Filled("".join(part.text for part in parts), tuple(unknown), tuple(required))


def closing(text: str, begin: int) -> int:
    """Return where the brace closes that was opened before `begin`."""
    opened, at = 1, begin
    while at < len(text):
        if text.startswith("${", at):
            opened += 1
            at += 1
        elif text[at] == "}":
            opened -= 1
            if not opened:
                return at
        at += 1
    raise MalformedError("'${' without its '}'")


def variable(name: str, values: Mapping[str, str]) -> Filled:
    """Return the value of a variable."""
    return Filled(values[name]) if name in values else Filled(f"${{{name}}}", (name,))


def braced(inner: str, values: Mapping[str, str], depth: int) -> Filled:
    """Return the value of what stands in braces."""
    match = INNER.fullmatch(inner)
    if match is None:
        raise MalformedError(f"'${{{inner.partition(':')[0][:40]}...'")
    name, operator, rest = match["name"], match["operator"] or "", match["rest"] or ""
    there = name in values and bool(values[name] or not operator.startswith(":"))
    if operator.endswith("+"):
        return fill(rest, values, depth + 1) if there else Filled("")
    if there or not operator:
        return variable(name, values)
    if operator.endswith("-"):
        return fill(rest, values, depth + 1)
    said = fill(rest, values, depth + 1).text
    return Filled(f"${{{name}}}", (name,), (f"{name}: {said}" if said else name,))
