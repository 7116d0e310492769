# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""The last lines of a run: what runs, where people open it, and what is not available here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

from ansible_collections.sse.platform.plugins.module_utils.model.release import opened

if TYPE_CHECKING:
    from ansible_collections.sse.platform.plugins.module_utils.images.choice import Choice
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Json, Release


def summary(releases: list[Release], result: Json, images: Choice, notices: list[str]) -> list[str]:
    """Write the summary for people.

    :param releases: the releases that run
    :param result: what the stack module returned
    :param images: the fact of the same name
    :param notices: guarantees that this host does not give
    """
    if "outcomes" not in result:
        return ["No container was looked at or changed, because --tags or --skip-tags leaves no service."]
    lines = opened(releases)
    lines += result.get("paused", [])
    for release, outcome in zip(releases, result["outcomes"], strict=True):
        kinds = Counter(action["kind"] for action in outcome["actions"])
        done = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "nothing to change"
        lines.append(
            f"{release['project']}: release {outcome['number']}, {len(release['containers'])} containers on "
            f"{', '.join(release['networks'])} ({done})"
        )
    if "verified" in result:
        lines.append(f"{result['verified']['msg']} ({max(result['verified']['seconds'].values())} s)")
    lines.append(f"Images: {images['source']} ({images['reason']})")
    for release in releases:
        lines += [f"Not available: {name}, because {reason}" for name, reason in release["unavailable"].items()]
    return lines + [f"Note: {notice}" for notice in notices]


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., list[str]]]:
        """Return the filter by name."""
        return {"summary": summary}
