"""What hosts of a cluster are to write is what the manager was given, on the way through Ansible, too."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.sse.platform.plugins.modules import swarm_services

ARGUMENTS = {
    "state": "prepared",
    "releases": [],
    "cluster": {"groups": {}, "open_files": 0, "addresses": {}, "mtu": 1500},
    "state_directory": "/state",
    "secrets": {"keys": "a given secret"},
}


def test_a_given_secret_reaches_the_hosts_as_it_was_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = {"source": "/state/files/sse-app-1/live-0", "files": {"keys.json": "a given secret"}}
    rollout = SimpleNamespace(files=lambda: ({"a": [directory]}, {"a": {}}), moves=lambda: False)
    monkeypatch.setattr(swarm_services, "rollout_of", lambda *_: rollout)
    with patch_module_args(ARGUMENTS), pytest.raises(SystemExit) as ended:
        swarm_services.main()
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    [given] = found["directories"]["a"]
    assert found["texts"][given["files"]["keys.json"]] == "a given secret"
