# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Ask a server that runs outside of the stack, by the program that its role brings (see model/elsewhere.py).

The program is Python for the standard library. Its argument is what to ask, as JSON, with the paths of its secrets;
without paths it reads their texts from standard input. It prints what is wrong, and what is good to know.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere

SECONDS = 60.0  # for all servers: each of its steps has a limit of its own


class Answer(NamedTuple):
    """What a program found."""

    problems: list[str]
    notes: list[str]


def argument(one: Elsewhere, files: Mapping[str, str] | None = None) -> str:
    """Return the argument of the program.

    :param files: the paths of the secrets; None where they come by standard input
    """
    return json.dumps({**one["asks"], "servers": one["servers"], **({} if files is None else {"files": dict(files)})})


def ask(one: Elsewhere, secrets: Mapping[str, str]) -> Answer:
    """Ask from this host.

    :param secrets: by the names of the stack's secrets
    """
    given = {called: secrets.get(name, "") for called, name in one["secrets"].items()}
    command = [sys.executable, "-I", "-c", one["program"], argument(one)]
    try:
        ended = subprocess.run(
            command, input=json.dumps(given), capture_output=True, text=True, timeout=SECONDS, check=False, cwd="/"
        )
    except subprocess.TimeoutExpired:
        return Answer([f"no answer within {SECONDS:g} s"], [])
    return read(ended.returncode, ended.stdout or ended.stderr)


def read(code: int, output: str) -> Answer:
    """Read what a program printed."""
    last = (output.strip().splitlines() or [""])[-1]
    try:
        found: Any = json.loads(last) if code == 0 else {}
        return Answer([str(text) for text in found["problems"]], [str(text) for text in found["notes"]])
    except (ValueError, TypeError, KeyError):
        return Answer([f"it could not be asked: {last[-200:] or f'exit code {code}'}"], [])
