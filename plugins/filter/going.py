# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""What the destruction of a stack takes away, for the question before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json


def going(host: Json) -> list[str]:
    """Write what goes and what stays on one host.

    :param host: its variables, with ``settings`` and the registered ``stack_going``
    """
    settings, found = host["settings"], host["stack_going"]
    containers, networks = found["removed"], found["removed_networks"]
    what = (
        f"On {host['inventory_hostname']}, the stack '{settings['stack_name']}' is removed: "
        f"{len(containers)} containers{': ' * bool(containers)}{', '.join(containers)}; "
        f"{'networks: ' if networks else 'no network'}{', '.join(networks)}; its firewall rules."
    )
    directory = settings["stack_state_directory"]
    if settings["stack_delete_data"]:
        data = (
            f"ITS DATA IS DELETED FOR EVER: all events, caches, metrics, secrets and releases in {directory}. "
            "Nothing can bring them back."
        )
    else:
        data = f"Its data, secrets and releases stay in {directory}; the next ./sse up continues with them."
    said = [what, data, *(f"{one} is not touched." for one in found.get("elsewhere", []))]
    engine = host.get("engine_going") or {}
    if "packages" not in engine:
        return said
    goes = (
        f"THE ENGINE IS REMOVED, WITH {engine['images']} IMAGES AND {engine['volumes']} VOLUMES: everything in "
        f"{' and '.join(engine['data']) or 'its data directory'}, /etc/docker, its firewall rules, and the packages "
        f"{', '.join(engine['packages']) or '(none)'}."
    )
    return [*said, goes]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter by name."""
        return {"going": going}
