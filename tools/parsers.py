"""The parser of a tool's command line, with the help that the table of verbs has for it."""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from pathlib import Path
from typing import NoReturn

from nearest import did_you_mean
from verbs import VERBS

WIDTH = 100  # characters of a line of help


class Parser(argparse.ArgumentParser):
    """A parser whose errors end with 1, as every failure does; 2 is for findings."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong with the command line, and end."""
        unknown = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        meant = did_you_mean(unknown[1], self._option_string_actions) if unknown else "."
        self.print_usage(sys.stderr)
        self.exit(1, f"sse: {message}{meant} {self.prog} -h has examples.\n")


def of_verb(verb_name: str = "") -> Parser:
    """Return a parser with the help of a verb, or of the one that runs."""
    name = verb_name or Path(sys.argv[0]).stem
    verb = VERBS[name]
    lines = ["examples:", *(f"  ./sse {command}\n      {what}" for command, what in verb.examples)]
    lines += ["exit codes:", "  0  all is fine", "  1  it failed, or was refused; the message says why"]
    lines += [f"  2  {verb.findings}"] if verb.findings else []
    return Parser(
        prog=f"./sse {name}",
        description=textwrap.fill(f"{verb.purpose} {verb.more}", WIDTH, break_on_hyphens=False),
        epilog="\n".join(lines),
        formatter_class=argparse.RawTextHelpFormatter,
    )
