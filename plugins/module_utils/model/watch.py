# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What a canary is judged by: a Prometheus expression with a limit, as a service or a setting declares it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ansible_collections.sse.platform.plugins.module_utils.model import spec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Watch

INSTANCE, OTHERS, WINDOW = "$instance", "$others", "$window"  # what an expression may hold
PAIRS = {")": "(", "]": "[", "}": "{"}


def number(value: Any, path: str) -> float:
    """Accept a number."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise spec.refuse(path, value, "a number")
    return float(value)


def expression(value: Any, path: str) -> str:
    """Accept a text that is about the canary and whose brackets match; Prometheus itself reads it later."""
    opened: list[str] = []
    quoted = ""
    for character in spec.text(value, path):
        if quoted:
            quoted = "" if character == quoted else quoted
        elif character in "\"'`":
            quoted = character
        elif character in PAIRS.values():
            opened.append(character)
        elif character in PAIRS and (not opened or opened.pop() != PAIRS[character]):
            raise spec.refuse(path, value, f"a Prometheus expression; its {character!r} closes nothing")
    if opened or quoted:
        raise spec.refuse(path, value, f"a Prometheus expression; its {(quoted or opened[-1])!r} is not closed")
    if INSTANCE not in value:
        raise spec.refuse(path, value, f"an expression with {INSTANCE}, which stands for the canary")
    return str(value)


WATCH: spec.Fields = {
    "service": (spec.short_name, ...),
    "name": (spec.text, ...),
    "expr": (expression, ...),
    "above": (number, None),  # a value above it is bad
    "below": (number, None),  # a value below it is bad
}
PARSE = spec.record(WATCH)


def parse_all(value: Any, path: str) -> list[Watch]:
    """Check and normalise a list of watches.

    :raises spec.SpecError: for one that is not valid
    """
    found: list[Watch] = []
    entries: list[Json] = spec.list_of(spec.dictionary)(value, path)
    for index, one in enumerate(entries):
        watch = cast("Watch", PARSE(one, f"{path}[{index}]"))
        if (watch["above"] is None) == (watch["below"] is None):
            raise spec.SpecError(f"{path}[{index}]: give either above or below, the limit of a good value")
        found.append(watch)
    return found


def declared(declarations: Mapping[str, Any]) -> list[Watch]:
    """Return what all services declare.

    :raises spec.SpecError: for one that is not valid
    """
    return [
        watch
        for service, declaration in declarations.items()
        for watch in parse_all(
            [{"service": service, **one} for one in declaration.get("canary", [])], f"{service}.canary"
        )
    ]


def chosen(of_services: list[Watch], of_setting: list[Watch]) -> list[Watch]:
    """Return what is watched: one of the setting replaces that of its service with the same name."""
    by_name = {(one["service"], one["name"]): one for one in [*of_services, *of_setting]}
    return list(by_name.values())


def bad(watch: Watch, value: float) -> bool:
    """Tell whether a value is beyond the limit."""
    above, below = watch["above"], watch["below"]
    return (above is not None and value > above) or (below is not None and value < below)


def limit(watch: Watch) -> str:
    """Say what a good value is."""
    return f"at most {watch['above']:g}" if watch["above"] is not None else f"at least {watch['below']:g}"
