# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which variables of a run somebody gave: in the inventory, in files of variables, or with -e."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

# The setting that holds patterns of names which belong to somebody else.
FOREIGN = "stack_foreign_variables"


def given_names(variables: Mapping[str, Any]) -> list[str]:
    """Return the names that the inventory and -e bring, without those of plays, roles, tasks and Ansible itself."""
    name = variables["inventory_hostname"]
    manager = variables["hostvars"]._variable_manager  # noqa: SLF001 - nothing else tells what tasks registered or set
    made = set(manager._nonpersistent_fact_cache.get(name, ()))  # noqa: SLF001 - by set_fact and register
    with contextlib.suppress(KeyError):
        made |= set(manager._fact_cache.get(name))  # noqa: SLF001 - by modules
    made -= set(manager.extra_vars)
    given = variables["hostvars"].raw_get(name)
    return [name for name in given if not name.startswith(("_", "ansible_")) and name not in made]
