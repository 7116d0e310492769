"""Public variables: strict conversion by argument_specs, ranges, misspelt names, and rules between variables.

Pure: nothing here reads a host. Every problem is one sentence that names the variable, its value (never a secret's)
and what is accepted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from ansible_collections.sse.platform.plugins.module_utils.settings.ranges import rule_of

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
SHOWN_LENGTH = 80


class RefusedError(Exception):
    """A value is not accepted; the text says what is."""


def plain(value: Any) -> Any:
    """The same value in Python's own types, without what Ansible ties to it."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in cast("Iterable[Any]", value)]
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def show(value: Any, option: Mapping[str, Any]) -> str:
    """The value for a message: short, and never a secret."""
    if option.get("no_log"):
        return "a secret (not shown)"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    return text if len(text) <= SHOWN_LENGTH else f"{text[:SHOWN_LENGTH]}... ({len(text)} characters)"


def _to_int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", value.strip()):
        return int(value)
    raise RefusedError


def _to_float(value: Any) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", value.strip()):
        return float(value)
    raise RefusedError


def _to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise RefusedError


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise RefusedError


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, list):
        return cast("list[Any]", value)
    if isinstance(value, str):
        return _from_json(value, list) if value.lstrip().startswith("[") else [p.strip() for p in value.split(",") if p]
    raise RefusedError


def _to_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, dict):
        return cast("dict[str, Any]", value)
    if isinstance(value, str):
        return _from_json(value, dict)
    raise RefusedError


def _from_json(text: str, kind: type) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        raise RefusedError from None
    if not isinstance(value, kind):
        raise RefusedError
    return value


TYPES: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "int": ("an integer", _to_int),
    "float": ("a number", _to_float),
    "bool": ("true or false", _to_bool),
    "str": ("text (put a number, true, false or null in quotes)", _to_str),
    "path": ("a path", _to_str),
    "list": ("a list", _to_list),
    "dict": ("a dictionary", _to_dict),
    "raw": ("any value", lambda value: value),
}


def accepted(name: str, option: Mapping[str, Any]) -> str:
    """What a variable accepts, in words."""
    if option.get("choices"):
        return "one of " + ", ".join(str(choice) for choice in option["choices"])
    kind = option.get("type", "str")
    rule = rule_of(name, kind)
    return rule.accepted if rule else TYPES[kind][0]


def convert(name: str, value: Any, option: Mapping[str, Any]) -> Any:
    """Return the value in the type of its argument_specs; RefusedError says what is accepted instead."""
    if value is None:
        msg = f"{accepted(name, option)} (leave the variable out for its default)"
        raise RefusedError(msg)
    kind = option.get("type", "str")
    try:
        converted = TYPES[kind][1](value)
        if kind == "list" and option.get("elements"):
            converted = [TYPES[option["elements"]][1](item) for item in converted]
    except RefusedError:
        if accepted(name, option) == TYPES[kind][0] or option.get("choices"):
            raise RefusedError(accepted(name, option)) from None
        msg = f"{TYPES[kind][0]}: {accepted(name, option)}" if kind in ("str", "list") else accepted(name, option)
        raise RefusedError(msg) from None
    rule = rule_of(name, kind)
    if option.get("choices") and converted not in option["choices"]:
        raise RefusedError(accepted(name, option))
    if rule and not rule.holds(converted):
        raise RefusedError(rule.accepted)
    return converted


def problem(name: str, value: Any, option: Mapping[str, Any], reason: RefusedError) -> str:
    """The sentence for a refused value."""
    return f"{name} is {show(value, option)}: accepted is {reason}"
