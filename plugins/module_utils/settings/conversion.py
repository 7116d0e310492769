# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Convert the value of a public variable to the type that its argument_specs name, or refuse it.

Pure: nothing here reads a host. The sentence for a refused value names the variable, its value (never a secret) and
what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model.password import without_password
from ansible_collections.sse.platform.plugins.module_utils.settings import values

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option

TRUE = ("true", "yes", "on", "1")
FALSE = ("false", "no", "off", "0")
SHOWN_LENGTH = 80  # characters of a value in a message


class RefusedError(Exception):
    """A value is refused; the text says what was expected."""


def plain(value: Any) -> Any:
    """Return the same value in Python's own types, without the tags that Ansible adds."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(item) for item in cast(Iterable[Any], value)]
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    return value


def show(value: Any, option: Option) -> str:
    """Return the value for a message: short, and never a secret."""
    if option.get("no_log"):
        return "a secret (not shown)"
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=str)
    text = without_password(text, "***@")
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
    text = str(value).strip().lower() if isinstance(value, (str, int)) else ""
    if text in (*TRUE, *FALSE):
        return text in TRUE
    raise RefusedError


def _to_str(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise RefusedError


def _to_list(value: Any) -> list[Any]:
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [part.strip() for part in value.split(",") if part]
    return _or_json(value, list)


def _to_dict(value: Any) -> dict[str, Any]:
    return _or_json(value, dict)


def _or_json(value: Any, kind: type) -> Any:
    """Accept a value of this type, or JSON text of one."""
    try:
        found = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise RefusedError from None
    if not isinstance(found, kind):
        raise RefusedError
    return found


PARSERS: dict[str, Callable[[Any], Any]] = {
    "int": _to_int,
    "float": _to_float,
    "bool": _to_bool,
    "str": _to_str,
    "path": _to_str,
    "list": _to_list,
    "dict": _to_dict,
    "raw": lambda value: value,
}


def convert(value: Any, option: Option) -> Any:
    """Return the value in the type of its argument_specs; RefusedError says what was expected instead."""
    expected = values.expected(option)
    if value is None:
        raise RefusedError(f"{expected}; leave the variable out for its default")
    kind = option.get("type", "str")
    try:
        converted = PARSERS[kind](value)
        if kind == "list" and "elements" in option:
            converted = [PARSERS[option["elements"]](item) for item in converted]
    except RefusedError:
        as_text = kind == "str" and "choices" not in option and expected != values.WORDS[kind]
        raise RefusedError(f"{expected}, as {values.WORDS[kind]}" if as_text else expected) from None
    if not values.holds(converted, option):
        raise RefusedError(expected)
    return converted


def problem(name: str, value: Any, option: Option, reason: RefusedError) -> str:
    """Return the sentence for a refused value."""
    return f"{name} is {show(value, option)}: expected {reason}"
