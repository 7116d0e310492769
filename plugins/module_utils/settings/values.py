# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which values a public variable may have, and the same in words."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import watch
from ansible_collections.sse.platform.plugins.module_utils.model.spec import SpecError, size

if TYPE_CHECKING:
    from collections.abc import Callable

    from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option

WORDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "str": "text (put a number, true, false or null in quotes)",
    "path": "a path",
    "list": "a list",
    "dict": "a dictionary",
    "raw": "any value",
}
ITEM_TYPES = {"str": str, "dict": dict, "bool": bool}
NO_CONTROL_CHARACTERS = r"[^\x00-\x1f\x7f]*"


def expected(option: Option) -> str:
    """Say which values a variable may have."""
    if "choices" in option:
        return "one of " + ", ".join(map(str, option["choices"]))
    if "expected" in option:
        return option["expected"]
    if "minimum" in option and "maximum" in option:
        return f"an integer from {option['minimum']} to {option['maximum']} {option.get('unit', '')}".strip()
    return WORDS[option.get("type", "str")]


def holds(value: Any, option: Option) -> bool:
    """Tell whether a variable may have this value, which is of the variable's type."""
    if value not in option.get("choices", [value]):
        return False
    if "minimum" in option and "maximum" in option:
        return option["minimum"] <= value <= option["maximum"]
    if isinstance(value, str) and not re.fullmatch(option.get("pattern", NO_CONTROL_CHARACTERS), value):
        return False
    if isinstance(value, str) and not _is_within(value, option):
        return False
    if isinstance(value, list) and not all(_is(item, option.get("item_pattern")) for item in cast("list[Any]", value)):
        return False
    if isinstance(value, dict) and not all(
        _is(key, option.get("key_pattern")) and _is(item, option.get("item_pattern"), option.get("item_types"))
        for key, item in cast("dict[Any, Any]", value).items()
    ):
        return False
    if "item_lists" in option and not _are_lists(cast("dict[Any, Any]", value), option["item_lists"]):
        return False
    check = CHECKS.get(option.get("format", ""))
    return check is None or check(value)


def _is(value: Any, pattern: str | None, types: list[str] | None = None) -> bool:
    if types and not isinstance(value, tuple(ITEM_TYPES[one] for one in types)):
        return False
    return pattern is None or (isinstance(value, str) and re.fullmatch(pattern, value) is not None)


def _is_within(value: str, option: Option) -> bool:
    """Tell whether a size is neither too small nor too large."""
    least, most = option.get("least"), option.get("most")
    return (not least or size(value, "") >= size(least, "")) and (not most or size(value, "") <= size(most, ""))


def _are_lists(value: dict[Any, Any], patterns: dict[str, str]) -> bool:
    """Tell whether each item of a dictionary is a dictionary of lists, whose items fit the pattern of their key."""
    return all(isinstance(item, dict) and _fits(cast("dict[Any, Any]", item), patterns) for item in value.values())


def _fits(item: dict[Any, Any], patterns: dict[str, str]) -> bool:
    return all(
        key in patterns and isinstance(each, list) and all(_is(one, patterns[key]) for one in cast("list[Any]", each))
        for key, each in item.items()
    )


def _is_ipv4_address(value: Any) -> bool:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        return False
    return True


def _are_networks(values: list[Any]) -> bool:
    try:
        return all(isinstance(value, str) and ipaddress.ip_network(value) for value in values)
    except ValueError:
        return False


def _are_some_networks(values: list[Any]) -> bool:
    """Tell networks from everybody: /0, and what is half of the world or hardly less."""
    least = {4: 8, 6: 7}  # 10.0.0.0/8 and fc00::/7 are the largest networks that somebody has
    return _are_networks(values) and all(
        (one := ipaddress.ip_network(value)).prefixlen >= least[one.version] for value in values
    )


def _are_watches(values: list[Any]) -> bool:
    try:
        watch.parse_all(values, "stack_canary")
    except SpecError:
        return False
    return True


CHECKS: dict[str, Callable[[Any], bool]] = {
    "ipv4_address": _is_ipv4_address,
    "networks": _are_networks,
    "some_networks": _are_some_networks,
    "watches": _are_watches,
}
