# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Data that would stay behind because their place changes: from a container to somebody else's servers, or back.

Pure: what the host kept, releases and settings in, sentences out. The platform moves no data to other servers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ansible_collections.sse.platform.plugins.module_utils.model import elsewhere

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.types import Elsewhere, KeptStack, Release


def problems(kept: KeptStack | None, releases: Sequence[Release], settings: Mapping[str, Any]) -> Iterator[str]:
    """Return one sentence for each kind of data whose place would change without anybody having said so."""
    if not kept:
        return
    before = {one["name"]: one for one in kept["elsewhere"] if one["keeps"]}
    after = {one["name"]: (release, one) for release, one in elsewhere.of_releases(releases) if one["keeps"]}
    for name in dict.fromkeys([*before, *after]):
        one = after[name][1] if name in after else before[name]
        if not settings.get(one["move"]) and (where := moved(kept, before.get(name), after.get(name), releases)):
            old, new = where
            yield (
                f"{one['keeps']} would move from {old} to {new}, and nothing copies them: they stay where they are, "
                "and clients that resume from one of them are told of a gap. If that is wanted, set "
                f"{one['move']}=true for this run."
            )


def moved(
    kept: KeptStack, before: Elsewhere | None, after: tuple[Release, Elsewhere] | None, releases: Sequence[Release]
) -> tuple[str, str] | None:
    """Return from where to where data move; None where they stay, or where there were none."""
    if after is None:
        inside = [f"{one['stack']}-{before['instead_of']}" for one in releases] if before else []
        here = [name for name, one in zip(inside, releases, strict=True) if name in one["containers"]]
        return (elsewhere.place(before), f"the container {here[0]}") if before and here else None
    release, one = after
    if before is None:
        container = f"{release['stack']}-{one['instead_of']}"
        return (f"the container {container}", elsewhere.place(one)) if container in kept["containers"] else None
    parts = {before.get("part") or "", one.get("part") or ""} - {""}
    if set(before["servers"]) & set(one["servers"]) and len(parts) < 2:
        return None
    return elsewhere.place(before), elsewhere.place(one)
