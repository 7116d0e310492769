"""`./sse status --watch` of a cluster goes on while its managers decide nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.engine.api import RefusedError
from ansible_collections.sse.platform.plugins.module_utils.views import watching
from ansible_collections.sse.platform.plugins.modules import swarm_status

NO_LEADER = RefusedError("/services", 503, b'{"message": "The swarm does not have a leader."}')


class Module:
    """What a module has of Ansible."""

    def __init__(self, directory: Path) -> None:
        asked = {"stack_name": "sse", "state_directory": str(directory), "watch": True, "progress": "", "watcher": 0}
        self.params, self.said = asked, dict[str, Any]()
        self.warn: list[str] = []

    def exit_json(self, **result: Any) -> None:
        self.said = result

    def fail_json(self, **result: Any) -> None:
        raise AssertionError(result)


def test_who_watches_sees_that_there_is_no_leader_and_then_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[Any] = [NO_LEADER, OSError("refused"), None, None]
    shown: list[list[str]] = []

    def local() -> Any:
        if error := answers.pop(0):
            raise error
        return {"manager": True, "nodes": []}

    def watch(_: Any, look: Any, *__: Any) -> None:
        shown.extend(look()["lines"] for ___ in range(3))

    module = Module(tmp_path)
    monkeypatch.setattr(swarm_status, "AnsibleModule", lambda **_: module)
    monkeypatch.setattr(swarm_status, "SwarmApi", lambda: SimpleNamespace(local=local, services=list))
    monkeypatch.setattr(watching, "watch", watch)
    swarm_status.main()
    first, second, third = shown
    assert first == [
        "The Swarm does not answer: The swarm does not have a leader. Without most of its managers it does not."
    ]
    assert second == ["No Docker Engine answers: refused"]
    assert any("No service of the stack sse" in line for line in third)
    assert module.said["manager"] is True
