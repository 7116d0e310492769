"""What services declare of checks: read strictly, and refused by the place of what is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError
from ansible_collections.sse.platform.plugins.module_utils.verify import kinds

HTTP = {"kind": "http", "port": 8000, "path": "/health"}


def declared(*checks: Any) -> dict[str, Any]:
    return {
        "echo": {"containers": {"echo-1": {}, "echo-2": {}}, "checks": list(checks)},
        "edge": {"containers": {"edge": {}}},
    }


def test_a_check_is_about_all_containers_of_its_service_unless_it_names_some() -> None:
    every, one = kinds.declared(declared(HTTP, {**HTTP, "containers": ["echo-2"]}))
    assert (every["service"], every["containers"], one["containers"]) == ("echo", ["echo-1", "echo-2"], ["echo-2"])
    assert every["parameters"] == {"port": 8000, "through": None, "path": "/health"}


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (
            {"kind": "htpt"},
            r"echo\.checks\[0\]\.kind: 'htpt'.*one of certificate, datasources, deliveries, firing, http, ",
        ),
        ({"path": "/"}, r"echo\.checks\[0\]\.kind"),
        ("http", r"echo\.checks\[0\]"),
        ({**HTTP, "prot": 80}, r"echo\.checks\[0\]\.prot: unknown key; known keys are path, port, through"),
        ({**HTTP, "port": "80"}, r"echo\.checks\[0\]\.port: '80'"),
        ({"kind": "http", "path": "/"}, r"echo\.checks\[0\]: give either port or through"),
        ({**HTTP, "through": "edge"}, r"echo\.checks\[0\]: give either port or through"),
        ({**HTTP, "containers": ["edge"]}, r"echo\.checks\[0\]\.containers\[0\]: 'edge'.*of echo: echo-1, echo-2"),
        ({"kind": "http", "path": "/", "through": "egde"}, r"echo\.checks\[0\]\.through: 'egde'.*echo-1, echo-2, edge"),
    ],
)
def test_a_wrong_check_is_refused_by_its_place(check: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        kinds.declared(declared(check))


def test_every_kind_has_a_name_of_its_own_and_only_declared_kinds_have_parameters() -> None:
    names = [kind.name for kind in (*kinds.EVERYWHERE, *kinds.DECLARED.values())]
    assert len(set(names)) == len(names)
    assert not any(kind.parse for kind in kinds.EVERYWHERE)
    assert all(kind.parse for kind in kinds.DECLARED.values())
