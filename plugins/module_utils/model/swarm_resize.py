# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""From one service with data to several that keep copies for each other, and back, without a loss. Pure.

Who decides about the data is part of the data. A program of the role says who that is, gives others what they need to
decide as well, and writes down last who decides from now on. Until then, everything is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict, cast

from ansible_collections.sse.platform.plugins.module_utils.model.swarm_placement import works

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from ansible_collections.sse.platform.plugins.module_utils.model.swarm_observed import NodeFact
    from ansible_collections.sse.platform.plugins.module_utils.model.types import Release

SPARE = 1.25  # of the disk that copies need, for what comes meanwhile
GIB = 2**30
STANDS = "for one to three minutes as measured on slow hosts"  # docs/cluster.md
LARGEST = GIB // 4  # of what others need to decide as well, which goes through the memory of whoever deploys


class Resize(TypedDict):
    """What a role declares of services whose number may change."""

    program: str  # Python: looks at data, and has others decide about them
    directory: str  # below the data of each of them
    members: list[str]  # the services in full, the first one first
    decides: str  # who is to decide; empty for the first one alone
    stack: str
    service: str  # the role that declares it


class Seen(TypedDict):
    """The data of one service on one host."""

    decides: str  # who decides about them; empty for the first one alone
    members: list[str]  # their containers
    cluster: str  # whose data they are; empty where there are none
    kept: bool  # whether somebody has written: then more than half have decided about them
    bytes: int
    needed: int  # bytes of them that others need to decide as well
    free: int  # bytes of its disk


class Way(TypedDict):
    """What is to be done."""

    kind: Literal["none", "grow", "shrink"]
    first: str
    host: str  # that has the data of the first
    holders: dict[str, str]  # the host of each of the others
    members: list[str]  # all services, those before and those after, the first one first
    alone: bool  # the first one has everything and stands still, as where an earlier run ended in between


class Shown(TypedDict):
    """What hosts and a manager show."""

    seen: Mapping[str, Mapping[str, Seen]]  # by host, then by service
    tasks: Mapping[str, tuple[int, int]]  # of each service that is there, how many should run, and how many do
    of: Mapping[str, Sequence[str]]  # of each service that is there, its stack and the role that declared it
    complete: Collection[str]  # the services that stand still and have everything
    nodes: Mapping[str, NodeFact]  # by the name of the host in the inventory


def declared(declarations: Mapping[str, Any], releases: list[Release]) -> list[Resize]:
    """Return what services declare, with the full names of their containers."""
    found: list[Resize] = []
    for service, one in declarations.items():
        asked = one.get("resize")
        if asked:
            stack = releases[0]["stack"]
            members = [f"{stack}-{name}" for name in asked["members"]]
            found.append(cast("Resize", {**asked, "stack": stack, "members": members, "service": service}))
    return found


def unlike(declarations: Mapping[str, Any], releases: list[Release]) -> Iterator[str]:
    """Say where earlier releases have another number of services than is declared now: none says how to get there."""
    for service, one in declarations.items():
        for wanted in declared({service: one}, releases):
            every = [pair for release in releases for pair in release["containers"].items()]
            there = [name for name, spec in every if spec["service"] == service and spec["data"]]
            if there and set(there) != set(wanted["members"]):
                yield (
                    f"That release has {', '.join(there)}, and the settings have {', '.join(wanted['members'])}: set "
                    "the number as it was then, and run ./sse up, which brings the data there."
                )


def way(wanted: Resize, shown: Shown) -> Way:
    """Return what is to be done so that those decide who are to."""
    first, *others = wanted["members"]
    places = {name: host for host, each in shown["seen"].items() for name in each}
    host = places.get(first, "")
    holders = {name: places[name] for name in others if name in places}
    found = shown["seen"].get(host, {}).get(first)
    before = [f"{wanted['stack']}-{name}" for name in found["members"]] if found else []
    members = list(dict.fromkeys([*wanted["members"], *before]))
    nothing: Way = {
        "kind": "none",
        "first": first,
        "host": host,
        "holders": holders,
        "members": members,
        "alone": False,
    }
    if not found or not found["cluster"] or found["decides"] == wanted["decides"]:
        return nothing  # a new stack, or a first one that gets its copies from the others, or nothing to change
    kind = "shrink" if found["decides"] else "grow"
    return {**nothing, "kind": kind, "alone": kind == "shrink" and first in shown["complete"]}


def told(wanted: Resize, chosen: Way, shown: Shown) -> list[str]:
    """Return what a run does about it, and what publishers notice, one sentence each."""
    first = chosen["first"]
    own = shown["seen"].get(chosen["host"], {}).get(first)
    much = f"{own['bytes'] / GIB:.1f} GiB" if own else "everything"
    if chosen["kind"] == "grow":
        there = ", ".join(f"{name} on {host}" for name, host in chosen["holders"].items())
        said = (
            f"from 1 to {len(wanted['members'])} that keep copies: it stops, {there} get what they need to decide with "
            f"it, and all of them start. Whoever writes waits meanwhile, {STANDS}. Then {much} are copied to each, and "
            "writing goes on."
        )
        return [f"~ {first}: {said}"]
    if chosen["kind"] == "shrink":
        go = ", ".join(name for name in chosen["members"] if name not in wanted["members"])
        if chosen["alone"]:
            return [f"~ {first}: has everything, because a step ended too soon: it starts alone, and {go} end."]
        said = (
            f"from {len(chosen['members'])} that keep copies to {len(wanted['members'])}: all is brought to it on "
            f"{chosen['host']}, then {go} end, and it starts alone. Whoever writes waits meanwhile, {STANDS}. The data "
            "of those that end stay on their hosts."
        )
        return [f"~ {first}: {said}"]
    have = [name for each in shown["seen"].values() for name, one in each.items() if one["cluster"]]
    moved = [
        (name, host)
        for host, each in shown["seen"].items()
        for name, one in each.items()
        if have and not one["cluster"] and name in shown["tasks"]
    ]
    said = (
        f"so it copies all from {', '.join(have)}. It is written on meanwhile, with one copy less until it is in sync"
    )
    return [f"~ {name}: has no data on {host}, {said}." for name, host in moved]


def problems(wanted: Resize, chosen: Way, shown: Shown) -> list[str]:
    """Return every reason why that must not be done, one sentence each, with the host."""
    if chosen["kind"] == "none":
        return [*_without_first(wanted, chosen, shown), *_without_others(wanted, chosen, shown)]
    own = shown["seen"][chosen["host"]][chosen["first"]]
    if own["decides"] and wanted["decides"]:
        why = (
            f"{chosen['host']}: {own['decides']} decide about the data of {chosen['first']}, and {wanted['decides']} "
            "would: expected the number as it was, or one first, and then several."
        )
        return [why]
    found = [f"{host}: {why}" for host, why in _node_problems(chosen, shown)]
    return [*found, *(_growing(wanted, chosen, shown) if chosen["kind"] == "grow" else _shrinking(chosen, shown))]


def _without_first(wanted: Resize, chosen: Way, shown: Shown) -> Iterator[str]:
    """Refuse another number while the first one has no data: it would begin with none, and the others would end."""
    first, host = chosen["first"], chosen["host"]
    seen = {name: one for each in shown["seen"].values() for name, one in each.items()}
    if first in seen and seen[first]["cluster"]:
        return
    own = [wanted["stack"], wanted["service"]]
    go = [name for name, whose in shown["of"].items() if list(whose) == own and name not in wanted["members"]]
    unlike = [name for name, one in seen.items() if one["cluster"] and one["decides"] != wanted["decides"]]
    if go or unlike:
        yield (
            f"{host}: {first} has no data here, and {', '.join([*go, *unlike])} may have the only ones: expected the "
            f"number as it was, until {first} has a copy."
        )


def _without_others(wanted: Resize, chosen: Way, shown: Shown) -> Iterator[str]:
    """Refuse to start more than half of those that decide with no data beside others that have some.

    They would decide that there is nothing, and the others would take that over from them.
    """
    known = {name: one for each in shown["seen"].values() for name, one in each.items() if one["cluster"]}
    lack = [name for name in wanted["members"] if name not in known]
    if 2 * len(lack) <= len(wanted["members"]) or not any(one["kept"] for one in known.values()):
        return
    if chosen["first"] in shown["complete"] and chosen["first"] in known:
        why = (
            f"{chosen['first']} has everything, and stands still because a step ended too soon",
            "one first, and then several",
        )
    else:
        why = (f"{', '.join(known)} may lack what was written last", "the hosts of the others with their data")
    yield (
        f"{', '.join(lack)} would decide with no data, and are more than half. {why[0]}: expected {why[1]}. "
        "Or restore a backup."
    )


def _node_problems(chosen: Way, shown: Shown) -> Iterator[tuple[str, str]]:
    for host in dict.fromkeys([chosen["host"], *chosen["holders"].values()]):
        node = shown["nodes"].get(host)
        if node and not works(node):
            yield (
                host,
                f"its node is {node['state']}, with availability {node['availability']}: expected one with tasks.",
            )


def _growing(wanted: Resize, chosen: Way, shown: Shown) -> Iterator[str]:
    first, host = chosen["first"], chosen["host"]
    own = shown["seen"][host][first]
    should, do = shown["tasks"].get(first, (0, 0))
    if should and not do:
        yield f"{host}: {first} does not run, so nothing can be copied from it: expected it to run."
    if own["needed"] > LARGEST:
        yield (
            f"{host}: what the others need to decide about the data of {first} has {own['needed'] / GIB:.2f} GiB: "
            f"expected at most {LARGEST / GIB:.2f} GiB."
        )
    needs: dict[str, int] = {}
    for name in wanted["members"][1:]:
        place = chosen["holders"].get(name, "")
        if not place:
            yield f"No host is there for {name}: expected one more in the group data."
            continue
        needs[place] = needs.get(place, 0) + int(own["bytes"] * SPARE)
        there = shown["seen"][place][name]
        if there["cluster"] not in {"", own["cluster"]}:
            yield (
                f"{place} has data of {name} that are not of the same cluster ({there['cluster']} instead of "
                f"{own['cluster']}): expected none there. Move them away."
            )
        if there["free"] + there["bytes"] < needs[place]:
            yield (
                f"{place}: {there['free'] / GIB:.1f} GiB are free for {name}, and a copy of what {first} has needs "
                f"{needs[place] / GIB:.1f} GiB."
            )


def _shrinking(chosen: Way, shown: Shown) -> Iterator[str]:
    if chosen["alone"]:
        return
    for name in chosen["members"]:
        should, do = shown["tasks"].get(name, (1, 0))
        if should and not do:
            yield f"{name} does not run, and all has to be on {chosen['first']} before it goes: expected it to run."
