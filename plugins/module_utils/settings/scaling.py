# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What `./sse scale SERVICE=N` means: the value of the setting that its role declares for the number of containers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ansible_collections.sse.platform.plugins.module_utils.settings.options import Option


class ScaleError(ValueError):
    """What was asked for is not understood."""


def scaled(words: Iterable[str], options: Mapping[str, Option]) -> dict[str, str]:
    """Return the values of the settings that these words ask for.

    :param words: such as ``app=5``
    :raises ScaleError: for another form, or for a service that always has the same number of containers
    """
    settings = {option["scales"]: name for name, option in options.items() if "scales" in option}
    found: dict[str, str] = {}
    for word in words:
        service, equals, number = word.partition("=")
        if not equals or not number.isdecimal():
            raise ScaleError(f"scale {word}: expected SERVICE=N, such as {next(iter(settings))}=3")
        if service not in settings:
            known = ", ".join(sorted(settings))
            raise ScaleError(f"scale {word}: {service!r} cannot be scaled; expected one of {known}")
        if found.get(settings[service], number) != number:
            raise ScaleError(f"scale {word}: {service} is given twice, as {found[settings[service]]} and as {number}")
        found[settings[service]] = number
    return found
