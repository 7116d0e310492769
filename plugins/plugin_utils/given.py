# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which variables of a run somebody gave: in the inventory, in files of variables, or with -e."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The setting that holds patterns of names which belong to somebody else.
FOREIGN = "stack_foreign_variables"


def given_names(variables: Mapping[str, Any]) -> list[str]:
    """Return the names that the inventory and -e bring, without those of plays, roles, tasks and Ansible itself."""
    name = variables["inventory_hostname"]
    manager = variables["hostvars"]._variable_manager  # noqa: SLF001 - nothing else tells what tasks registered or set
    made = set(manager._nonpersistent_fact_cache.get(name, ())) - set(manager.extra_vars)  # noqa: SLF001
    given = variables["hostvars"].raw_get(name)
    return [name for name in given if not name.startswith(("_", "ansible_")) and name not in made]
