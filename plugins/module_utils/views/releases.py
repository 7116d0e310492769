# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The releases of a stack for people: a table of them, one of them with its containers, and what two differ in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.deploy import plan_text
from ansible_collections.sse.platform.plugins.module_utils.model import spec
from ansible_collections.sse.platform.plugins.module_utils.model.ip_family import url_host
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import actions_between

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec, StoredRelease
    from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import StackRelease

NOTHING = "nothing was released here yet: `./sse up` makes the first release"
ID_DIGITS = 12  # of an image's id, as docker prints it
MIB = 2**20


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay rows out in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def minute(when: str) -> str:
    """Return a time (RFC 3339) without what nobody reads in a table."""
    return when[:16].replace("T", " ")


def table(releases: Sequence[StackRelease], current: int) -> list[str]:
    """Return one line for each release, the newest last.

    :param current: the number of the release that runs
    """
    if not releases:
        return [NOTHING]
    rows = [("RELEASE", "WHEN (UTC)", "WHO", "COMMIT", "OUTCOME", "WHAT CHANGED")]
    before: Mapping[str, Spec] = {}
    for one in releases:
        mark = " (current)" if one.number == current else ""
        note = one.meta.get("note", "")
        changed = in_few_words(before, one.containers, one.number) + (f" [{note}]" if note else "")
        row = (minute(one.meta.get("when", "")), one.meta.get("who", ""), one.meta.get("commit", ""), one.outcome)
        rows.append((f"{one.number}{mark}", *row, changed))
        if one.outcome == "applied":
            before = one.containers
    return columns(rows)


def in_few_words(old: Mapping[str, Spec], new: Mapping[str, Spec], number: int) -> str:
    """Sum up what differs: which parts of which services changed, and which containers came and went.

    :param old: the containers of the release before it; none where no release before it is kept
    :param number: the number of the newer release
    """
    if not old:
        return f"{len(new)} containers, the first {'release' if number == 1 else 'that are kept'}"
    keys: dict[str, dict[str, None]] = {}
    came: list[str] = []
    gone: list[str] = []
    for action in actions_between(old, new):
        if action.kind == "create":
            came.append(f"+ {action.container}")
        elif action.kind == "remove":
            gone.append(f"- {action.container}")
        else:
            parts = keys.setdefault(new[action.container]["service"], {})
            parts.update(dict.fromkeys(reason.partition(":")[0].partition(".")[0] for reason in action.reasons))
    changed = [f"{service} ({', '.join(parts)})" for service, parts in keys.items()]
    return "; ".join([*changed, *came, *gone]) or "how containers relate, and no container"


def head(release: StackRelease, current: int) -> str:
    """Say which release this is, who made it and what came of it."""
    meta = release.meta
    commit = f" from commit {meta.get('commit')}" if meta.get("commit") else ""
    note = f": {meta.get('note')}" if meta.get("note") else ""
    which = "which runs now" if release.number == current else release.outcome
    when = minute(meta.get("when", "")) or "an unknown time"
    return f"Release {release.number}, {which}, made by {meta.get('who') or 'somebody'} at {when} UTC{commit}{note}"


def details(release: StackRelease, current: int) -> list[str]:
    """Describe one release with all its containers. Config files and secrets are named; their content is not shown."""
    lines = [head(release, current)]
    for project, part in release.parts.items():
        since = "" if part["number"] == release.number else f", as in release {part['number']}"
        lines += ["", f"{project} on {', '.join(part['networks'])}{since}"]
        for name, one in part["containers"].items():
            lines.append(f"  {name}")
            rows = [(f"    {what}", value) for what, value in facts_of(one) if value]
            lines += columns(rows)
        lines += [f"  without {name}, because {reason}" for name, reason in part["unavailable"].items()]
    return lines


def facts_of(one: Spec) -> Iterator[tuple[str, str]]:
    """Say what a container is; an empty text stands for nothing."""
    identity = (one.get("image_id") or "").removeprefix("sha256:")[:ID_DIGITS]
    yield "image", one["image"] + (f" (id {identity})" if identity else "")
    yield "limits", f"{one['memory'] // MIB} MiB of memory, {one['pids']} processes, {one['open_files']} open files"
    yield "networks", ", ".join(f"{name} {address}".strip() for name, address in one["networks"].items())
    yield (
        "ports",
        ", ".join(f"{url_host(on['host_ip'])}:{on['host_port']}->{on['container_port']}" for on in one["ports"]),
    )
    yield "config", names(one["config"])
    yield "secrets", names({**one["secrets"], **one["live_secrets"]})
    yield "environment", ", ".join(one["environment"])
    yield "data", ", ".join([*one["data"], *one.get("shared", {})])


def names(directories: Mapping[str, Mapping[str, object]]) -> str:
    """Name files by their paths."""
    return ", ".join(f"{directory}/{file}" for directory, files in directories.items() for file in files)


def diff(old: StackRelease, new: StackRelease) -> list[str]:
    """Say in the words of a plan what leads from one release to another."""
    actions = actions_between(old.containers, new.containers)
    lines = [
        *plan_text.diff(actions, old.containers, new.containers).splitlines(),
        *(f"> {project}: {line}" for project in new.parts for line in of_project(old.parts.get(project), new, project)),
    ]
    return lines or [f"releases {old.number} and {new.number} are the same"]


def of_project(old: StoredRelease | None, new: StackRelease, project: str) -> list[str]:
    """Say what differs in a project beside its containers: networks, who may connect, how containers relate."""
    wanted = new.parts[project]
    if old is None:
        return []
    lines = [
        line for key in ("layout", "networks", "allow_from") for line in spec.differences(old[key], wanted[key], key)
    ]
    for name, one in wanted["containers"].items():
        before = old["containers"].get(name)
        if before:
            lines += [
                f"{name}: {line}"
                for key in ("after", "rolling", "reaches", "listens")
                for line in spec.differences(before[key], one[key], key)
            ]
    return lines
