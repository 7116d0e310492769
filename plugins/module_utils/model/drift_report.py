# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What `./sse drift` says of what somebody changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json

MEND = ("./sse up",)
DAEMON = "/etc/docker/daemon.json"


def of_engine(wanted: Json, present: Json | None, host: str = "") -> list[Finding]:
    """Compare the configuration of the engine with the wanted one.

    :param present: None where the file is not valid
    :param host: of a cluster; empty for one host alone
    """
    subject = f"{DAEMON} of {host}" if host else DAEMON
    if present is None:
        return [Finding("engine", subject, "it is not valid JSON", "the file", (f"# Correct {DAEMON}.", *MEND))]
    return [
        Finding("engine", subject, f"{key} is not {value}", "the settings", MEND)
        for key, value in wanted.items()
        if key not in present or present[key] != value
    ]


def of_files(host: str, changes: list[str]) -> list[Finding]:
    """Return what differs in the directories of one host of a cluster.

    :param changes: one line for each directory, as a run says it
    """
    parts = [line.removeprefix("~ ").partition(": ") for line in changes]
    return [Finding("files", f"{path} of {host}", how, "the files of the host", MEND) for path, __, how in parts]


def of_silent(hosts: list[str]) -> list[Finding]:
    """Return the hosts of a cluster that do not answer."""
    wrong = "it does not answer, so nobody can say what differs there"
    return [
        Finding("host", host, wrong, "Ansible did not reach it", ("# Start it, or let SSH through.",)) for host in hosts
    ]


def report(findings: list[Finding]) -> str:
    """Return the drift for people: one line for each difference."""
    if not findings:
        return "No drift: what is there is what was applied."
    count = "1 thing differs" if len(findings) == 1 else f"{len(findings)} things differ"
    by_run = [one for one in findings if tuple(one.mend[-1:]) == MEND]
    some = " ./sse up mends what has no advice below it."
    mends = {len(findings): " ./sse up mends it.", 0: ""}.get(len(by_run), some)
    return "\n".join(
        [f"Drift: {count} from what was applied.{mends}", *(line for one in findings for line in told(one))]
    )


def told(one: Finding) -> list[str]:
    """Say one difference, and how it is mended where no run does that."""
    first = one.wrong if one.rule in {"container", "service"} else f"~ {one.rule} {one.subject}: {one.wrong}"
    return [first, *(() if tuple(one.mend[-1:]) == MEND else (f"    {way}" for way in one.mend))]
