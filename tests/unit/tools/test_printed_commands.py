"""Every command that code of ours prints as a way on is one that exists: verb, options, settings, units and files."""

from __future__ import annotations

import ast
import itertools
import re
import shlex
from typing import TYPE_CHECKING, NamedTuple

import documented
import front
import pytest
import verbs
import yaml
from ansible_collections.sse.platform.plugins.module_utils.settings import options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROOT = documented.ROOT
SETTINGS = {name for role in options.load(ROOT / "roles", yaml.safe_load).values() for name in role}
FILLED = "FILLED"  # what stands for a value that only a run knows
COMMAND = re.compile(r"(?<![\w/])\./sse((?: (?!and\b|or\b|which\b|then\b)[-\w=./:@<>{}%'~\"]+)*)")
ASSIGNED = re.compile(r"(?<![\w.])([a-z]+(?:_[a-z0-9]+)+)=(?:true|false|\d+|[A-Z]+)\b")
PROSE = {"how", "gives", "inside", "installed", "with"}  # words after ./sse in a sentence about it
SOURCES = ("plugins/**/*.py", "tools/*.py", "roles/*/tasks/*.yml", "roles/*/vars/*.yml", "playbooks/**/*.yml")
# Settings of other programs, which a text may name in the same form.
FOREIGN = {"accept_ra", "bridge-nf-call-iptables", "overcommit_memory", "disable_ipv6", "ip_forward", "vm_overcommit"}


class Printed(NamedTuple):
    """A text of the code that may be shown, and where it stands."""

    place: str
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text.strip()[:50]}"


def texts(path: Path) -> Iterator[Printed]:
    name = str(path.relative_to(ROOT))
    if path.suffix == ".yml":
        yield Printed(name, re.sub(r"\{\{.*?\}\}|\{%.*?%\}", FILLED, path.read_text(), flags=re.DOTALL))
        return
    tree = ast.parse(path.read_text())
    inner = {id(one) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for one in ast.walk(node)} - {0}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [str(one.value) if isinstance(one, ast.Constant) else FILLED for one in node.values]
            yield Printed(f"{name}:{node.lineno}", "".join(parts))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inner:
            yield Printed(f"{name}:{node.lineno}", node.value)


def all_texts() -> list[Printed]:
    return [one for pattern in SOURCES for path in sorted(ROOT.glob(pattern)) for one in texts(path)]


def commands() -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    for one in all_texts():
        for match in COMMAND.finditer(one.text.replace("\n", " ")):
            try:
                words = shlex.split(match[1].rstrip(".,:;'\""))
            except ValueError:
                words = match[1].split()
            # A sentence ends, or goes on after the command.
            end = next((at for at, word in enumerate(words, 1) if word[-1:] in {".", ":", ",", ";"}), len(words))
            words = [word.rstrip(".,:;") for word in words[:end]]
            if words and words[0] not in PROSE:
                found.append((f"{one.place}: ./sse {' '.join(words)}", words))
    return found


COMMANDS = commands()


def test_the_code_prints_commands() -> None:
    assert len(COMMANDS) > 60
    assert {words[0] for _, words in COMMANDS} >= {"up", "doctor", "verify", "logs", "restart"}


def flags_of(name: str) -> set[str]:
    """Return the options that a verb takes."""
    verb = verbs.VERBS[name]
    own = {flag for option in verb.options for flag in (option.flag, option.short) if flag}
    tool = ROOT / "tools" / f"{name}.py"
    if tool.exists():
        code = "".join((ROOT / "tools" / one).read_text() for one in (tool.name, "containers.py", "reaching.py"))
        return own | set(re.findall(r'"(--?[a-zA-Z][-a-z]*)"', code)) | {"-h", "--help"}
    return own | front.VALUED | front.SWITCHES | {"-h", "--help", "-K", "-v"}


@pytest.mark.parametrize("words", [words for _, words in COMMANDS], ids=[shown for shown, _ in COMMANDS])
def test_every_printed_command_has_a_verb_and_options_that_exist(words: list[str]) -> None:
    name, *rest = words
    if name in {FILLED, "VERB", "help", "-h", "--help", "--version"}:
        return
    assert name in verbs.VERBS
    for word in rest:
        if word.startswith("-") and word.strip("-") and FILLED not in word:
            assert word.partition("=")[0] in flags_of(name), word
    for flag, value in itertools.pairwise(rest):
        if flag == "-e" and "=" in value and FILLED not in value.partition("=")[0]:
            assert value.partition("=")[0] in SETTINGS | FOREIGN | {"stack_delete_data"}, value


def test_every_setting_that_a_text_tells_to_set_exists() -> None:
    told = {(one.place, name) for one in all_texts() for name in ASSIGNED.findall(one.text)}
    roles = {name.partition("_")[0] for name in SETTINGS}
    wrong = {one for one in told if one[1].partition("_")[0] in roles and one[1] not in SETTINGS | FOREIGN}
    assert not {one for one in wrong if ".yml" not in one[0]}
    assert len(told) > 10
