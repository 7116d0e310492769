# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What --tags and --skip-tags limit a run to, and which of them nothing has. Pure: names in, names out."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

PHASES = ("docker", "network")  # the tags of playbooks/site.yml beside the services
ANSIBLES = ("all", "always", "never", "tagged", "untagged")  # these mean something to every playbook
MOLECULES = ("notest", "molecule-")  # how the tags begin that Molecule skips in every run


class Scope(TypedDict):
    """What a run may change."""

    services: list[str]  # only these; empty means all
    containers: bool  # False where the run is limited to phases, which have no containers


def scope(wanted: Collection[str], skipped: Collection[str], declared: Collection[str]) -> Scope:
    """Return what is left of the declared services.

    :param wanted: the value of --tags; ``all`` where it is not given
    :param skipped: the value of --skip-tags
    """
    every = any(tag in ANSIBLES for tag in wanted)
    chosen = [name for name in declared if (every or name in wanted) and name not in skipped]
    return {"services": chosen if len(chosen) < len(declared) else [], "containers": bool(chosen)}


def problems(wanted: Collection[str], skipped: Collection[str], declared: Collection[str]) -> Iterator[str]:
    """Say which tags are unknown. Ansible would run the tasks that it always runs, and so deploy everything."""
    known = [*declared, *PHASES]
    for option, tags in (("--tags", wanted), ("--skip-tags", skipped)):
        for tag in tags:
            if tag not in (*known, *ANSIBLES) and not tag.startswith(MOLECULES):
                near = difflib.get_close_matches(tag, known, n=1)
                meant = f"did you mean {near[0]}? " if near else ""
                yield f"{option} {tag}: {meant}expected a service ({', '.join(declared)}) or {' or '.join(PHASES)}"
