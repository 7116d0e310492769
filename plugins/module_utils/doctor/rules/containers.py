"""The stack's own containers: each that the newest releases name is there and runs."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.sse.platform.plugins.module_utils.doctor.lookup import container_of, is_ours, wake
from ansible_collections.sse.platform.plugins.module_utils.doctor.rules.ports import TAKEN
from ansible_collections.sse.platform.plugins.module_utils.doctor.types import Json
from ansible_collections.sse.platform.plugins.module_utils.model.finding import Finding, docker


def not_running(facts: Json) -> Iterator[Finding]:
    """See that every declared container runs; one whose network or port is somebody else's is told of elsewhere."""
    if facts["host"]["engine"] is None:
        return
    ids = {one["id"] for one in facts["networks"]}
    for name in dict.fromkeys(name for release in facts["releases"] for name in release["containers"]):
        one = container_of(facts, name)
        if one is None:
            yield Finding("not-running", name, "it is not there", "the newest release names it", ("./sse up",))
        elif is_ours(facts, one["labels"]) and not one["running"]:
            lost = any(endpoint["id"] and endpoint["id"] not in ids for endpoint in one["networks"].values())
            if lost or any(words in one["error"] for words in TAKEN):
                continue
            evidence = f"it is {one['status']}, exit code {one['exit_code']} {one['error']}".rstrip()
            yield Finding(
                "not-running", name, "it does not run", evidence, (docker("logs", "--tail=50", name), wake(one))
            )


RULES = (not_running,)
