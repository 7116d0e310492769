# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which of several containers is read for a backup, where each has a copy of the same data.

One copy is enough, if nothing that was acknowledged is missing in it. The program of the role knows which ones are
whole. One that is cut off from the others does not know what it lacks, so most of them have to say it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import program
from ansible_collections.sse.platform.plugins.module_utils.deploy.backup import BackupError
from ansible_collections.sse.platform.plugins.module_utils.deploy.errors import ApplyError
from ansible_collections.sse.platform.plugins.module_utils.deploy.node_told import Node
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release, Spec


def sets(releases: Iterable[Release], left_out: Iterable[str] = ()) -> list[dict[str, Spec]]:
    """Return the containers that have copies of the same data, by their full names: replicas with data."""
    found: dict[str, dict[str, Spec]] = {}
    for release in releases:
        for name, one in release["containers"].items():
            if one["rolling"] and one["data"] and one["service"] not in left_out:
                found.setdefault(one["service"], {})[name] = one
    return [each for each in found.values() if len(each) > 1]


def said(state_directory: str, stack: str, releases: Iterable[Release]) -> dict[str, list[str]]:
    """Return what each of them on this host says which ones are whole, by their short names.

    :raises BackupError: the program of its role could not ask it
    """
    specs = {name: one for each in sets(releases) for name, one in each.items()}
    found: dict[str, list[str]] = {}
    if not specs:
        return found
    for name, running in Node(Engine(), str(Path(state_directory)), stack, specs).running():
        reload = specs[name].get("reload") or {}
        question = {
            "now": program.taken(running, reload.get("takes", [])),
            "before": {},
            "config": program.config_of(specs[name]),
            "copies": True,
        }
        try:
            text = program.asked(name, running["State"]["Pid"], reload.get("program", ""), question, program.SECONDS)
        except ApplyError as error:
            raise BackupError(f"{error}. No backup was made") from None
        found[name] = text.split()
    return found


def copies(releases: Iterable[Release], left_out: Iterable[str], answers: Mapping[str, list[str]]) -> dict[str, str]:
    """Return the containers whose data are not read, each with the one that is read instead, by their full names.

    :param answers: what each of them says which ones are whole, by their short names
    :raises BackupError: most of them say it of none
    """
    found: dict[str, str] = {}
    for each in sets(releases, left_out):
        votes = {
            name: sum(one["container"] in answers.get(other, ()) for other in each)
            for name, one in each.items()
            if one["container"] in answers.get(name, ())
        }
        whole = [name for name, count in votes.items() if 2 * count > len(each)]
        if not whole:
            what = ", ".join(f"{name} says {' '.join(answers.get(name, ())) or 'nothing'}" for name in each)
            raise BackupError(
                f"{', '.join(each)} have copies of the same data, and most of them have to say of one that it lacks "
                f"nothing ({what}): wait until they run and are in sync. Where there are more of them than copies, "
                "none has everything: have fewer. No backup was made"
            )
        found |= {name: whole[0] for name in each if name != whole[0]}
    return found
