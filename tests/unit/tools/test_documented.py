"""Every command line that a page shows is one that works: its verb, options, settings, values and paths exist."""

from __future__ import annotations

import argparse
import itertools
import runpy
import sys
from typing import TYPE_CHECKING, Any

import documented
import front
import lint
import pytest
import verbs
import yaml
from ansible_collections.sse.platform.plugins.module_utils.settings import conversion, options

if TYPE_CHECKING:
    pass

ROOT = lint.ROOT
SETTINGS = {name: one for role in options.load(ROOT / "roles", yaml.safe_load).values() for name, one in role.items()}
OURS = documented.ours()
OTHERS = [one for one in documented.shown() if one.words[0] != "./sse"]


class ParsedError(Exception):
    """A tool has accepted its words, and would begin now."""


def test_the_pages_show_commands() -> None:
    assert len(OURS) > 50
    assert len(OTHERS) > 10


@pytest.mark.parametrize("one", OURS, ids=str)
def test_every_command_is_accepted_by_its_verb(one: documented.Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    name, *words = one.words[1:]
    if name in documented.RECIPES:
        return
    assert name in verbs.VERBS
    tool = ROOT / "tools" / f"{name}.py"
    if words in ([], ["-h"], ["--help"]):  # without words, the page only mentions the verb
        return
    if not tool.exists():
        front.read(name, verbs.VERBS[name], words)
        return

    def parse(parser: argparse.ArgumentParser, given: Any = None) -> None:
        _, unknown = argparse.ArgumentParser.parse_known_args(parser, given)
        assert unknown == [] or name == "test"  # whose other words are pytest's
        raise ParsedError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    if name == "test":
        return
    monkeypatch.setattr(sys, "argv", [str(tool), *words])
    with pytest.raises(ParsedError):
        runpy.run_path(str(tool), run_name="__main__")


@pytest.mark.parametrize("one", [one for one in OURS if "-e" in one.words], ids=str)
def test_every_setting_of_a_command_exists_and_takes_its_value(one: documented.Shown) -> None:
    for flag, given in itertools.pairwise(one.words):
        if flag == "-e" and not given.startswith("@"):
            name, _, value = given.partition("=")
            if name in documented.RECIPES:
                continue
            assert name in SETTINGS
            if value not in {"...", *documented.PLACEHOLDERS}:
                conversion.convert(value, SETTINGS[name])


@pytest.mark.parametrize("one", OTHERS, ids=str)
def test_every_file_that_a_command_names_exists(one: documented.Shown) -> None:
    program, *words = one.words
    if program == "molecule":
        scenarios = [scenario for flag, scenario in itertools.pairwise(words) if flag == "-s"]
        assert [name for name in scenarios if not (ROOT / "molecule" / name / "molecule.yml").exists()] == []
    named = [word for word in words if "/" in word and not word.startswith("-") and " " not in word]
    assert [path for path in named if not (ROOT / path).exists()] == []
