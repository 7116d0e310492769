# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The containers that the newest releases declare: each exists and runs."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor import commands, lookup
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.ports import PORT_TAKEN
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Facts
from ansible_collections.sse.platform.plugins.module_utils.model import connections
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding


def declared_run(facts: Facts) -> Iterator[Finding]:
    """Check that each declared container runs; other rules tell of one that misses its network or its port."""
    if facts["host"]["engine"] is None:
        return
    networks = {one["id"] for one in facts["networks"]}
    for name in connections.containers_of(facts["releases"]):
        one = lookup.container(facts, name)
        if one is None:
            evidence = "the newest release declares it, and the engine does not have it"
            yield Finding("not-running", name, "this container does not exist", evidence, ("./sse up",))
        elif one["ours"] and not one["running"]:
            without_network = any(each["id"] and each["id"] not in networks for each in one["networks"].values())
            if without_network or any(words in one["error"] for words in PORT_TAKEN):
                continue
            evidence = f"its status is {one['status']}, exit code {one['exit_code']} {one['error']}".rstrip()
            mend = (commands.show_log(name), commands.start(one))
            yield Finding("not-running", name, "this container does not run", evidence, mend)


RULES = (declared_run,)
