# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The verifications of releases: what the last verification of each release found, while that release ran."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.host.atomic_write import write_file
from ansible_collections.sse.platform.plugins.module_utils.model import moment

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FILE = "verifications.json"
KEPT = 60  # releases: as many as can be kept, and some that failed


class Found(TypedDict):
    """One finding without its evidence, which can quote anything."""

    rule: str
    subject: str
    wrong: str


class Verification(TypedDict):
    """What a verification of a whole stack found."""

    time: str
    verified: dict[str, int]  # how many things of each kind
    findings: list[Found]


def verifications(state_directory: str | Path) -> dict[int, Verification]:
    """Return the last verification of each release; a file that somebody damaged is as none."""
    try:
        read: Any = json.loads((Path(state_directory) / FILE).read_text())
        return {int(number): cast("Verification", one) for number, one in read.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def keep(
    state_directory: str | Path, number: int, verified: Mapping[str, int], findings: Sequence[Mapping[str, Any]]
) -> None:
    """Write down what a verification found.

    :param number: the release that runs; 0 for none, of which nothing is kept
    """
    if not number:
        return
    verification: Verification = {
        "time": moment.text(),
        "verified": {what: count for what, count in verified.items() if count},
        "findings": [{"rule": one["rule"], "subject": one["subject"], "wrong": one["wrong"]} for one in findings],
    }
    newest = sorted({**verifications(state_directory), number: verification}.items())[-KEPT:]
    write_file(Path(state_directory) / FILE, json.dumps(dict(newest)) + "\n")
