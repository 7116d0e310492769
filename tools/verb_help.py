"""The help of a verb that is a playbook: its purpose, what it takes, the settings that matter, and how it ends."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import yaml
from verbs import Verb

ROLES = Path(__file__).resolve().parent.parent / "roles"
WIDTH = 100  # characters of a line
MARKUP = re.compile(r"\b[A-Z]\(([^()]*)\)")  # V(true), C(./sse up), O(state=absent)


def text(name: str, verb: Verb) -> str:
    """Return the help of a verb."""
    own = [flag_of(option.short, option.flag, option.value, option.otherwise) for option in verb.options]
    words = [argument.name if argument.required else f"[{argument.name}]" for argument in verb.arguments]
    usage = " ".join([f"usage: ./sse {name}", *words, *(f"[{one}]" for one in own), "[options of ansible-playbook]"])
    lines = [usage, "", *wrapped(verb.purpose, ""), *(wrapped(verb.more, "") if verb.more else ())]
    rows = [(argument.name, argument.help) for argument in verb.arguments]
    rows += [(flag, option.help) for flag, option in zip(own, verb.options, strict=True)]
    if rows:
        lines += ["", "arguments", *table(rows)]
    if verb.settings:
        lines += ["", "settings: -e NAME=VALUE for one run; a file in inventory/*/group_vars/all/ keeps it"]
        lines += table([setting(one) for one in verb.settings])
    lines += ["", "examples", *table([(f"./sse {command}", what) for command, what in verb.examples])]
    lines += ["", "exit codes", "  0  all is fine", "  1  it failed, or was refused; the message says why"]
    lines += [f"  2  {verb.findings}"] if verb.findings else []
    lines += ["", "All options of ansible-playbook work too. The most useful ones:"]
    lines += table(
        [
            ("-i INVENTORY", "other hosts than this machine, such as -i inventory/vm"),
            ("-l HOST", "only this host of the inventory"),
            ("--check --diff", "show what would change, and change nothing"),
            ("-K", "ask for the password of sudo"),
            ("-v", "name what does not change, too"),
        ]
    )
    return "\n".join(lines) + "\n"


def flag_of(short: str, flag: str, value: str, otherwise: str) -> str:
    """Return an option as the help shows it: -m, --why WHY or --wait [SECONDS]."""
    shown = f"{short}, {flag}" if short else flag
    return shown + (f" [{value}]" if otherwise else f" {value}" if value else "")


def setting(name: str) -> tuple[str, str]:
    """Return a setting with its default, and its meaning. Both stand in its role."""
    role = ROLES / name.partition("_")[0]
    defaults: dict[str, Any] = yaml.safe_load((role / "defaults/main.yml").read_text())
    specs: dict[str, Any] = yaml.safe_load((role / "meta/argument_specs.yml").read_text())
    described = specs["argument_specs"]["main"]["options"][name]["description"]
    first = (described if isinstance(described, str) else described[0]).partition(". ")[0].rstrip(".")
    default = defaults[name]
    shown = str(default).lower() if isinstance(default, bool) else default
    return f"{name}={shown}" if "{{" not in str(shown) else name, MARKUP.sub(r"\1", first)


def table(rows: list[tuple[str, str]]) -> list[str]:
    """Return rows of two columns; the second one is wrapped."""
    width = min(max(len(left) for left, _ in rows), 38)
    lines: list[str] = []
    for left, right in rows:
        alone = len(left) > width
        lines += [f"  {left}"] if alone else []
        lines += wrapped(right, " " * (width + 4), f"  {'' if alone else left.ljust(width)}".ljust(width + 4))
    return lines


def wrapped(value: str, indent: str, first: str | None = None) -> list[str]:
    """Wrap a text to the width of the help."""
    start = indent if first is None else first
    return textwrap.wrap(value, WIDTH, initial_indent=start, subsequent_indent=indent, break_on_hyphens=False)
