"""The closing words of a run: what runs, where to open it, and what is not available here."""

from __future__ import annotations

from collections import Counter
from typing import Any

Json = dict[str, Any]


def summary(releases: list[Json], result: Json, images: Json, notices: list[str]) -> list[str]:
    """Write the summary.

    Args:
        releases: the releases that run
        result: what the stack module did and verified
        images: the fact of the same name: where images came from, and which are unavailable
        notices: guarantees that this host does not give

    Returns:
        Lines for people.
    """
    lines: list[str] = []
    for release, outcome in zip(releases, result["outcomes"], strict=True):
        kinds = Counter(action["kind"] for action in outcome["actions"])
        done = ", ".join(f"{kind} {count}" for kind, count in kinds.items()) or "nothing to change"
        lines.append(
            f"{release['project']}: release {outcome['number']}, {len(release['containers'])} containers on "
            f"{', '.join(release['networks'])} ({done})"
        )
    if "verified" in result:
        lines.append(f"{result['verified']['msg']} ({max(result['verified']['seconds'].values())} s)")
    endpoints = [endpoint for release in releases for endpoint in release["endpoints"]]
    width = max((len(endpoint["name"]) for endpoint in endpoints), default=0)
    lines += [f"  {endpoint['name'].ljust(width)}  {endpoint['url']}" for endpoint in endpoints]
    lines.append(f"Images: {images['source']} ({images['reason']})")
    for release in releases:
        lines += [f"Not available: {name}, because {reason}" for name, reason in release["unavailable"].items()]
    return lines + [f"Note: {notice}" for notice in notices]


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Return filters by name."""
        return {"summary": summary}
