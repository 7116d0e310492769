"""`./sse doctor` names guests beside its findings, and they are none."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.modules import doctor
from ansible_collections.sse.platform.tests.unit.doctor.healthy_host import facts


class Module:
    """What a module has of Ansible."""

    def __init__(self) -> None:
        self.check_mode = False
        self.params: dict[str, Any] = {"fix": False, "host": False}
        self.result: dict[str, Any] = {}

    def exit_json(self, **result: Any) -> None:
        self.result = result


@pytest.mark.parametrize("engine", [True, False])
def test_guests_are_named_and_are_no_findings(monkeypatch: pytest.MonkeyPatch, engine: bool) -> None:
    module = Module()
    seen = facts({} if engine else {"host": {"engine": None}})
    monkeypatch.setattr(doctor, "AnsibleModule", lambda **_: module)
    monkeypatch.setattr(doctor, "gather", lambda _: seen)
    monkeypatch.setattr(doctor, "diagnose", lambda _: [])
    monkeypatch.setattr(doctor, "Engine", object)
    monkeypatch.setattr(doctor.guests, "lines", lambda *_: ["guest foo (busybox) is on sse-network"])
    doctor.main()
    assert module.result["findings"] == []
    assert module.result["guests"] == ["guest foo (busybox) is on sse-network"] * engine
    assert ("\nguest foo" in module.result["msg"]) == engine
