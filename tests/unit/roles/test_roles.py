"""What holds for every role's interface."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.sse.platform.plugins.module_utils.model.types import Settings
from ansible_collections.sse.platform.plugins.module_utils.settings import options, values

ROLES = sorted(path for path in (Path(__file__).parents[3] / "roles").iterdir() if path.is_dir())


def defaults_of(role: Path) -> dict[str, Any]:
    path = role / "defaults/main.yml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else {}


def options_of(role: Path) -> dict[str, dict[str, Any]]:
    path = role / "meta/argument_specs.yml"
    return (yaml.safe_load(path.read_text())["argument_specs"]["main"].get("options") or {}) if path.exists() else {}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_defaults_and_argument_specs_agree(role: Path) -> None:
    defaults, declared = defaults_of(role), options_of(role)
    assert set(defaults) == set(declared)
    for name, option in declared.items():
        if "default" in option:
            assert option["default"] == defaults[name], name
        else:
            assert "{{" in str(defaults[name]), f"{name} has a plain default that its argument_specs don't name"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_variables_carry_their_roles_name(role: Path) -> None:
    own = [name for name in defaults_of(role) if name == role.name or name.startswith(f"{role.name}_")]
    assert own == list(defaults_of(role))


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_option_is_described(role: Path) -> None:
    assert [
        name for name, option in options_of(role).items() if not option.get("description") or not option.get("type")
    ] == []


def test_every_setting_that_python_reads_is_a_variable_of_its_type() -> None:
    declared = {name: option for role in ROLES for name, option in options_of(role).items()}
    for name, kind in typing.get_type_hints(Settings).items():
        option = declared[name]
        if typing.get_origin(kind) is typing.Literal:
            assert option["choices"] == list(typing.get_args(kind)), name
        else:
            written = {"path": "str"}.get(option["type"], option["type"])
            assert written == (typing.get_origin(kind) or kind).__name__, name


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_values_are_of_variables_and_variables_of_values(role: Path) -> None:
    path = role / "meta/values.yml"
    limits = yaml.safe_load(path.read_text()) if path.exists() else {}
    every = {name for one in ROLES for name in options_of(one)}
    assert set(limits) <= set(options_of(role))
    for name, limit in limits.items():
        assert set(limit) <= set(options.Option.__annotations__), name
        assert limit.get("format", "size") in {*options.FORMATS, *values.CHECKS}, name
        rules = [limit.get("only_if", {}), *(rule["when"] for rule in limit.get("refused", []))]
        others = {other for rule in rules for other in rule} | {limit.get("needs", name), limit.get("key_of", name)}
        assert others <= every, name


def test_every_integer_has_bounds() -> None:
    by_role = options.load(ROLES[0].parent, yaml.safe_load)
    integers = [(name, one) for role in by_role.values() for name, one in role.items() if one.get("type") == "int"]
    assert [name for name, one in integers if "minimum" not in one or "maximum" not in one] == []
