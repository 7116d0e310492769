# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Show the releases of a stack, its history, and what differs between two releases."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: releases
short_description: Show the releases and the history of a stack
version_added: 0.1.0
description:
  - Lists the releases that are kept, describes one of them, compares two of them, or lists every run.
  - Config files and secrets are named. Their content is shown only where two releases differ, and of secrets never.
extends_documentation_fragment:
  - sse.platform.attributes
  - sse.platform.attributes.read_only
  - sse.platform.stack.directory
options:
  state_directory: {required: true}
  show:
    description: >-
      V(list) for the table of releases, V(release) for one release, V(diff) for what leads from the first to the
      second of two releases, V(history) for every run. V(rollback) chooses the release to go back to, and refuses one
      that this host cannot run any more. V(applied) for what was applied last, which drift is compared with.
      V(compose) for the release that runs as a Compose file.
    type: str
    choices: [list, release, diff, history, rollback, applied, compose]
    default: list
  numbers:
    description: >-
      The number of the release to show, or of the two to compare. Where O(show=release) gets none, it is the release
      that runs now. Where O(show=rollback) gets none, it is the newest one before the last that was applied.
    type: list
    elements: str
    default: []
  images:
    description: >-
      Whether O(show=rollback) refuses a release whose images are not on this host. The images of a cluster are asked
      for on each of its hosts, by M(sse.platform.cluster).
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: List the releases
  sse.platform.releases:
    state_directory: /var/lib/sse-platform

- name: Compare two releases
  sse.platform.releases:
    state_directory: /var/lib/sse-platform
    show: diff
    numbers: [3, 5]
"""

RETURN = r"""
lines:
  description: What was asked for, as text.
  returned: always
  type: list
  elements: str
numbers:
  description: The numbers of the releases that are kept, oldest first.
  returned: always
  type: list
  elements: int
current:
  description: The number of the release that runs now, or 0.
  returned: always
  type: int
attempts:
  description: Every run, oldest first.
  returned: O(show=history)
  type: list
  elements: dict
target:
  description: The number of the release to go back to.
  returned: O(show=rollback)
  type: int
releases:
  description: What each project runs then, for O(sse.platform.release#module:stored) of M(sse.platform.release).
  returned: O(show=rollback), O(show=applied)
  type: list
  elements: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.sse.platform.plugins.module_utils.deploy.files import Files
from ansible_collections.sse.platform.plugins.module_utils.deploy.secret_store import Store
from ansible_collections.sse.platform.plugins.module_utils.engine.client import Engine, EngineError
from ansible_collections.sse.platform.plugins.module_utils.engine.daemon import open_files_limit
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.model.types import Spec
from ansible_collections.sse.platform.plugins.module_utils.releases import rollback
from ansible_collections.sse.platform.plugins.module_utils.releases.history import attempts
from ansible_collections.sse.platform.plugins.module_utils.releases.stack_releases import (
    StackRelease,
    current_release,
    kept_release,
    stack_releases,
)
from ansible_collections.sse.platform.plugins.module_utils.views import compose_export, history, releases

NUMBERS = {
    "list": (0,),
    "release": (0, 1),
    "diff": (2,),
    "history": (0,),
    "rollback": (0, 1),
    "applied": (0,),
    "compose": (0,),
}  # how many each view takes


def look(directory: str, show: str, words: list[str], *, images: bool = True) -> dict[str, Any]:
    """Return what the module says; raises SpecError."""
    numbers = [number_of(word) for word in words]
    if len(numbers) not in NUMBERS[show]:
        expected = " or ".join(map(str, NUMBERS[show]))
        raise SpecError(f"{show}: expected {expected} numbers of releases, found {len(numbers)}")
    kept = stack_releases(directory)
    running = current_release(directory)
    current = running.number if running else 0
    result: dict[str, Any] = {"numbers": [one.number for one in kept], "current": current}
    if show == "list":
        return {**result, "lines": releases.table(kept, current)}
    if show == "history":
        runs = attempts(directory)
        return {**result, "attempts": runs, "lines": history.table(runs)}
    if show == "compose":
        return {**result, "lines": compose_lines(directory, running).splitlines()}
    if show == "rollback":
        return {**result, **way_back(kept, running, numbers, images=images)}
    if show == "applied":
        return {**result, **what_runs(running)}
    asked = [kept_release(kept, number) for number in numbers or [current]]
    if show == "release":
        return {**result, "lines": releases.details(asked[0], current)}
    return {**result, "lines": releases.diff(asked[0], asked[1])}


def compose_lines(directory: str, running: StackRelease | None) -> str:
    """Return what runs as a Compose file; raises SpecError."""
    if running is None:
        raise SpecError("nothing was applied on this host yet: `./sse up` makes the first release")
    files = Files(directory, Store(directory, {}, {}))
    mounted = {
        name: {target: str(one.path) for target, one in files.directories(name, spec).items()}
        for name, spec in running.containers.items()
    }
    stack = next(iter(running.parts.values()))["stack"]
    most = open_files_limit()  # a container that asks for more than this host allows does not start
    containers: dict[str, Spec] = {
        name: {**one, "open_files": min(one["open_files"], most)} for name, one in running.containers.items()
    }
    shared = {str(path): path.name for spec in containers.values() for path in files.shared(spec).values()}
    return compose_export.text(running.number, stack, containers, mounted, shared)


def what_runs(running: StackRelease | None) -> dict[str, Any]:
    """Return the release that was applied last, of each project; raises SpecError where none was."""
    if running is None:
        raise SpecError("nothing was applied here yet: `./sse up` makes the first release")
    return {"releases": [rollback.plain(one) for one in running.parts.values()], "lines": []}


def way_back(
    kept: list[StackRelease], running: StackRelease | None, numbers: list[int], *, images: bool
) -> dict[str, Any]:
    """Return the release to go back to, and what each project runs then; raises SpecError.

    :param images: whether its images have to be on this host
    """
    if running is None:
        raise SpecError("nothing was applied on this host yet: `./sse up` makes the first release")
    found = rollback.target(kept, numbers[0] if numbers else None)
    image_id = Engine().image_id if images else str  # each has itself for an id where others are asked for it
    if problems := rollback.problems(found, running, image_id):
        raise SpecError(
            "\n- ".join([f"There is no way back to release {found.number}; nothing was changed.", *problems])
        )
    lines = [f"back to release {found.number}", *releases.diff(running, found)]
    return {"target": found.number, "releases": rollback.coming(found, running), "lines": lines}


def number_of(word: str) -> int:
    """Return the number that a word stands for."""
    if not word.isdecimal():
        raise SpecError(
            f"{word!r} is not the number of a release: expected a number such as 3; `./sse releases` lists them"
        )
    return int(word)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "state_directory": {"type": "path", "required": True},
            "show": {"type": "str", "choices": list(NUMBERS), "default": "list"},
            "numbers": {"type": "list", "elements": "str", "default": []},
            "images": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    options = module.params
    try:
        found = look(options["state_directory"], options["show"], options["numbers"], images=options["images"])
        module.exit_json(changed=False, **found)
    except (SpecError, EngineError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
