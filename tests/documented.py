"""The command lines that the pages of this repository show."""

from __future__ import annotations

import functools
import re
import shlex
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import lint

if TYPE_CHECKING:
    from pathlib import Path

ROOT = lint.ROOT
# A line of a block of code, or a span of code within a sentence. A comment follows after two spaces.
BLOCK = re.compile(r"^ {4,}((?:\./sse|\.venv/bin/python|python|pytest|molecule) .*?)(?: {2,}.*)?$", re.MULTILINE)
SPAN = re.compile(r"`((?:\./sse|\.venv/bin/python|python|pytest|molecule) [^`]+)`")
PLACEHOLDERS = {"VERB", "HOST", "FILE", "NAME", "PROJECT", "N", "--version"}
# A recipe of CONTRIBUTING.md adds these.
RECIPES = {"redis_databases", "plan"}


class Shown(NamedTuple):
    """A command line, and the page that shows it."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def pages() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.splitlines() if name != "CHANGELOG.md"]


@functools.cache
def shown() -> list[Shown]:
    found: list[Shown] = []
    for page in pages():
        text = page.read_text()
        for line in [*BLOCK.findall(text), *SPAN.findall(text)]:
            words = tuple(shlex.split(line))
            found.append(Shown(str(page.relative_to(ROOT)), words))
            # A command that is handed to another, such as --command './sse up'.
            found += [Shown(str(page.relative_to(ROOT)), tuple(shlex.split(one))) for one in words if " " in one]
    return list(dict.fromkeys(found))


def ours() -> list[Shown]:
    """Return those of ./sse that name a verb."""
    return [one for one in shown() if one.words[0] == "./sse" and one.words[1] not in PLACEHOLDERS]
