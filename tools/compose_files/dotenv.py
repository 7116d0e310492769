"""Read a file of variables, such as .env, as Compose does."""

from __future__ import annotations

import re
from collections.abc import Mapping

from compose_files.interpolation import MalformedError, fill

KEY = re.compile(r"[ \t]*(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_.\-]*)[ \t]*(?P<sign>[=:]|(?=\n|#|\Z))[ \t]*")
BLANK = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\n|\Z)")
QUOTED = {"'": re.compile(r"'((?:[^'\\]|\\.)*)'", re.DOTALL), '"': re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)}
ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'", "$": "$$"}


class LineError(ValueError):
    """A line is no variable; the message begins with the number of the line."""


def parse(text: str, around: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file, which may refer to those above them and to those around them.

    :raises LineError: where a line is no variable
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        if blank := BLANK.match(text, at):
            at = max(blank.end(), at + 1)
            continue
        line = text.count("\n", 0, at) + 1
        key = KEY.match(text, at)
        if key is None:
            raise LineError(f"{line}: expected NAME=value or a comment, found something else")
        name, at = key["name"], key.end()
        if not key["sign"]:
            if name in around:
                found[name] = around[name]
            continue
        value, at = read(text, at, line, {**found, **around})
        found[name] = value
    return found


def read(text: str, at: int, line: int, values: Mapping[str, str]) -> tuple[str, int]:
    """Return the value that begins at a place, and the place after its line."""
    quote = text[at : at + 1]
    end = text.find("\n", at)
    end = len(text) if end < 0 else end
    if quote in QUOTED:
        match = QUOTED[quote].match(text, at)
        if match is None:
            raise LineError(f"{line}: expected {quote} at the end of the value, found none")
        rest = text.find("\n", match.end())
        inner = match[1]
        if quote == "'":
            return inner.replace("\\'", "'"), len(text) if rest < 0 else rest
        unescaped = re.sub(r"\\(.)", lambda one: ESCAPES.get(one[1], "\\" + one[1]), inner, flags=re.DOTALL)
        return put(unescaped, values), len(text) if rest < 0 else rest
    plain = re.split(r"(?:^|[ \t])#", text[at:end], maxsplit=1)[0]
    return put(plain.rstrip(), values), end


def put(text: str, values: Mapping[str, str]) -> str:
    """Put variables into a value; one that nothing sets is empty, and what is no variable stays."""
    try:
        filled = fill(text, values)
        return fill(text, {**dict.fromkeys(filled.unknown, ""), **values}).text
    except MalformedError:
        return text
