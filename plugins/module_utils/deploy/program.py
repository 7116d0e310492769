# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Run the program by which a role makes new files count in a running container, in that container's network namespace.

The program is Python for the standard library of the host's interpreter. Standard input is a JSON object: ``now`` and
``before`` hold the files of the directories that it takes, by their path in the container, and ``config`` those of its
configuration; ``before`` is empty where nobody knows it. Its output says what it verified; exit code 1 and a sentence
on standard error say what failed. With ``look`` it changes nothing, and writes a line for each thing that differs.
With ``copies``, one of containers that have copies of the same data writes the names of those that have all of it.
With ``behind``, one of them writes what it lacks of these copies. With ``gather`` it gets the only copy of everything,
because the others are about to go.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.host.namespace import inside

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.engine.answers import Inspected
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec

FILES = frozenset(("now", "before", "config"))  # what is asked with more than that makes no file count
SECONDS = 60.0  # a program asks a server on its own loopback address; on a busy machine that server starts slowly


def taken(inspected: Inspected, takes: Sequence[str]) -> dict[str, str]:
    """Return the files that a container has mounted at these places, by their path in the container."""
    found: dict[str, str] = {}
    for mount in inspected["Mounts"] or []:
        source = Path(mount["Source"])
        if mount["Destination"] in takes and source.is_dir():
            for path in source.rglob("*"):
                if path.is_file():
                    found[f"{mount['Destination']}/{path.relative_to(source)}"] = path.read_text(errors="replace")
    return found


def config_of(spec: Spec) -> dict[str, str]:
    """Return the files of a container's configuration, by their path in it."""
    return {f"{target}/{file}": text for target, each in spec["config"].items() for file, text in each.items()}


def run(
    name: str,
    pid: int,
    program: str,
    now: Mapping[str, str],
    before: Mapping[str, str],
    config: Mapping[str, str] = MappingProxyType({}),
    *,
    seconds: float | None = None,
) -> str:
    """Run a program; return what it verified.

    :param pid: the first process of the container
    :param config: the files of its configuration, which it makes count as far as it can
    :param seconds: after so many it has failed, where those of every program do not fit
    :raises ApplyError: with the sentence that the program gives
    """
    question = {"now": dict(now), "before": dict(before), "config": dict(config)}
    return asked(name, pid, program, question, SECONDS if seconds is None else seconds)


def look(name: str, pid: int, program: str, now: Mapping[str, str], config: Mapping[str, str]) -> list[str]:
    """Ask a program what its server has that differs from its files; return a sentence for each difference.

    :param config: the files of its configuration, which it compares as far as it can change them
    :raises ApplyError: it could not ask
    """
    given = {"now": dict(now), "before": {}, "config": dict(config), "look": True}
    return asked(name, pid, program, given, SECONDS).splitlines()


def behind(name: str, pid: int, program: str, now: Mapping[str, str]) -> str:
    """Ask a program what its container lacks of the copies that it keeps with others; empty where it lacks nothing.

    :raises ApplyError: it could not ask
    """
    return asked(name, pid, program, {"now": dict(now), "before": {}, "config": {}, "behind": True}, SECONDS)


def gather(name: str, pid: int, program: str, now: Mapping[str, str], seconds: float) -> None:
    """Have a program bring the only copy of everything into its container, and wait until it is there.

    :raises ApplyError: with the sentence that the program gives
    """
    asked(name, pid, program, {"now": dict(now), "before": {}, "config": {}, "gather": True}, seconds)


def asked(name: str, pid: int, program: str, question: Mapping[str, object], seconds: float) -> str:
    """Run a program; return its output.

    :param seconds: after so many it has failed
    :raises ApplyError: with the sentence that the program gives
    """
    given = json.dumps(question)
    command = [sys.executable, "-I", "-c", program]
    try:
        ended = inside(
            pid,
            lambda: subprocess.run(
                command, input=given, capture_output=True, text=True, timeout=seconds, check=False, env={}, cwd="/"
            ),
        )
    except subprocess.TimeoutExpired:
        what = "its program did not end" if question.keys() > FILES else "its new files did not count"
        raise ApplyError(f"{name}: {what} within {seconds:g} s") from None
    except OSError as error:
        raise ApplyError(f"{name}: its network namespace can't be entered: {error}") from error
    if ended.returncode:
        lines = ended.stderr.strip().splitlines() or ["its program failed and wrote nothing"]
        raise ApplyError(f"{name}: {lines[-1]}")
    return ended.stdout.strip()
