# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which settings the last run got for itself alone and this one does not: they go back. Pure: two runs and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

ONCE = ("_allowed", "_confirmed", "_delete_data", "_fix", "_matrix")  # settings that end so hold for one run anyway


def going_back(
    before: Mapping[str, Any],
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    openings: Mapping[str, Mapping[str, Any]],
    *,
    check: bool = False,
) -> list[str]:
    """Return one text for all of them, and before it one for those that open something.

    :param before: what -e or `./sse scale` gave to the last run, as the history keeps it: None for a value that it does
        not keep
    :param given: the same of this run
    :param settings: of this run
    :param openings: by setting, with which value it opens something, and what (settings/options.py)
    :param check: this run changes nothing
    """
    changed = {
        name: value
        for name, value in before.items()
        if name not in given
        and not name.endswith(ONCE)
        and name in settings
        and (value is None or value != settings[name])
    }
    if not changed:
        return []
    told = [
        f"{name} (not shown)" if value is None else f"{name} from {shown(value)} to {shown(settings[name])}"
        for name, value in changed.items()
    ]
    keep = "Give them again, or write them into a file in inventory/*/group_vars/all/, to keep them."
    back = "would go back" if check else "go back now"
    texts = [f"These came by -e or ./sse scale, and they {back}: {', '.join(told)}. {keep}"]
    opened = [
        f"{text} ({openings[name]['what']})"
        for name, text in zip(changed, told, strict=True)
        if name in openings and openings[name].get("value", settings[name]) == settings[name]
    ]
    if opened:
        changes = "WOULD CHANGE" if check else "CHANGES"
        texts.insert(0, f"THIS {changes} WHO CAN REACH OR USE THE PLATFORM: {', '.join(opened)}.")
    return texts


def shown(value: Any) -> str:
    """Return a value as YAML would write it."""
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value)
