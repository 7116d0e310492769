# Copyright: sse.platform maintainers, MIT License (see LICENSE)
"""Which host of a cluster gets which images by itself, and which one hands its own to the others. Pure.

What has to be built is built on one host: each build would take its time and its packages on every host, and two builds
of one reference may hold packages of different versions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from ansible_collections.sse.platform.plugins.module_utils.images.steps import Step, missing_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ansible_collections.sse.platform.plugins.module_utils.images.choice import Choice

CARRIED = ("archive", "bundle")  # sources that the machine which deploys has, and brings to every host


class Node(NamedTuple):
    """What one host has, and what it could get."""

    present: frozenset[str]  # references
    architecture: str
    no_way: str  # why it can get nothing from the source; empty where it can


class Handing(NamedTuple):
    """Who gets what, and from where."""

    giver: str  # the host that hands images to others; empty where nobody needs one
    steps: dict[str, list[Step]]  # what each host gets by itself, or from the machine that deploys
    handed: dict[str, list[str]]  # references that each host gets from the giver
    problems: list[str]


def decide(chosen: Choice, lacks: Mapping[str, list[str]], nodes: Mapping[str, Node]) -> Handing:
    """Decide who gets what.

    :param chosen: the choice that the release is made of, with all its steps
    :param lacks: by host, the references that it may have to run and does not have
    :param nodes: every host of the cluster, in the order in which they are preferred
    """
    every = {step.image: step for step in (Step(**_restored(one)) for one in chosen["every"])}
    keys = {step.reference: key for key, step in every.items()}

    def steps(host: str, references: list[str]) -> list[Step]:
        return missing_steps(every, [keys[one] for one in references if one in keys], nodes[host].present)

    if chosen["source"] in CARRIED:
        return Handing("", {host: steps(host, lacks[host]) for host in lacks if lacks[host]}, {}, [])
    own = {
        host: [one for one in lacks[host] if not nodes[host].no_way and _comes_alone(every, keys, one)]
        for host in lacks
    }
    rest = {host: [one for one in lacks[host] if one not in own[host]] for host in lacks}
    wanted = sorted({one for references in rest.values() for one in references})
    giver, problems = "", list[str]()
    if wanted:
        able = [host for host, one in nodes.items() if not one.no_way or one.present.issuperset(wanted)]
        giver = min(able, key=lambda host: len(steps(host, wanted)), default="")
        problems = list(_problems(giver, rest, nodes))
    gets = {host: [*own[host], *(wanted if host == giver else ())] for host in own}
    if giver and not problems:
        gets.setdefault(giver, wanted)
    return Handing(
        giver if any(rest[host] for host in rest if host != giver) else "",
        {host: found for host, references in gets.items() if (found := steps(host, references))},
        {host: references for host, references in rest.items() if references and host != giver},
        problems,
    )


def _restored(step: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a step as they were, from what a fact holds."""
    return {**step, "needs": tuple(step["needs"])}


def _comes_alone(every: Mapping[str, Step], keys: Mapping[str, str], reference: str) -> bool:
    """Tell whether an image is pulled: each host does so at the same time, and gets the same."""
    return reference in keys and every[keys[reference]].how == "pull"


def _problems(giver: str, rest: Mapping[str, list[str]], nodes: Mapping[str, Node]) -> list[str]:
    """Name each host that would stay without an image."""
    if not giver:
        return [
            f"{host} has no way to {_some(references)}: {nodes[host].no_way or 'it may not build alone'}; and no other "
            "host has a way or has all of them. Expected one host of the cluster that gets images, or a bundle "
            "(./sse bundle)."
            for host, references in rest.items()
            if references
        ]
    return [
        f"{host} is {nodes[host].architecture}, and {giver}, which gets the images for the others, is "
        f"{nodes[giver].architecture}: {_some(references)} would not run there. Expected one architecture, or a "
        "registry that has all of them."
        for host, references in rest.items()
        if references and nodes[host].architecture != nodes[giver].architecture
    ]


def _some(references: list[str]) -> str:
    more = len(references) - 2
    return ", ".join(references[:2]) + (f" and {more} more images" if more > 0 else "")
