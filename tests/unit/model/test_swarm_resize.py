"""From one service with data to several and back, as tables: what hosts show, what is done, what is said against it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model import swarm_resize

THREE = "1@k,2@k-2,3@k-3"
FIVE = f"{THREE},4@k-4,5@k-5"
NAMES = ["s-k", "s-k-2", "s-k-3"]
TO_THREE: Any = {"program": "p", "directory": "d", "stack": "s", "service": "k", "members": NAMES, "decides": THREE}
TO_ONE: Any = {**TO_THREE, "members": ["s-k"], "decides": ""}
GIB = 2**30


def data(decides: str = "", cluster: str = "c", **changes: Any) -> Any:
    members = [one.partition("@")[2] for one in decides.split(",") if one]
    return {
        "decides": decides,
        "members": members,
        "cluster": cluster,
        "kept": bool(cluster),
        "bytes": GIB,
        "needed": 9,
        "free": 2 * GIB,
        **changes,
    }


EMPTY = data(cluster="", bytes=0)


def node(**changes: Any) -> Any:
    return {"state": "ready", "availability": "active", **changes}


def shown(first: Any, second: Any = EMPTY, third: Any = EMPTY, **changes: Any) -> Any:
    seen = {"a": {"s-k": first}, "b": {"s-k-2": second}, "c": {"s-k-3": third}}
    of = {**dict.fromkeys(NAMES, ("s", "k")), "s-two-k": ("s-two", "k"), "s-x": ("s", "x"), "other": ("", "")}
    nodes = {host: node() for host in "abc"}
    return {"seen": seen, "tasks": {"s-k": (1, 1)}, "of": of, "complete": [], "nodes": nodes, **changes}


ALONE = {"a": {"s-k": data(THREE)}, "b": {}, "c": {}}
RUN = dict.fromkeys(NAMES, (1, 1))


@pytest.mark.parametrize(
    ("wanted", "found", "kind", "said"),
    [
        (TO_THREE, shown(EMPTY), "none", []),  # a new stack
        (TO_THREE, shown(data(THREE), data(THREE), data(THREE)), "none", []),
        (TO_THREE, shown(EMPTY, data(THREE), data(THREE)), "none", []),  # it copies what the others have
        (TO_THREE, shown(data(THREE), EMPTY, data(THREE)), "none", []),
        (TO_ONE, shown(data(), seen={"a": {"s-k": data()}}), "none", []),
        (TO_THREE, shown(data()), "grow", []),
        (TO_THREE, shown(data(), data(THREE), EMPTY, tasks={"s-k": (0, 0)}), "grow", []),  # a run was killed
        (TO_THREE, shown(data(), tasks={"s-k": (1, 0)}), "grow", ["a: s-k does not run, so nothing can be copied"]),
        (TO_THREE, shown(data(), data(THREE, "other")), "grow", ["b has data of s-k-2 that are not of the same"]),
        (TO_THREE, shown(data(needed=GIB)), "grow", ["a: what the others need to decide about"]),
        (TO_THREE, shown(data(THREE, needed=GIB), data(THREE), data(THREE)), "none", []),
        (TO_THREE, shown(data(bytes=3 * GIB)), "grow", ["b: 2.0 GiB are free for s-k-2, and a copy", "c: 2.0 GiB"]),
        (TO_THREE, shown(data(), seen={"a": {"s-k": data()}, "b": {"s-k-2": EMPTY}}), "grow", ["there for s-k-3"]),
        (
            TO_THREE,
            shown(data(), nodes={"a": node(), "b": node(availability="drain"), "c": node(state="down")}),
            "grow",
            ["b: its node is ready, with availability drain", "c: its node is down"],
        ),
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks=RUN), "shrink", []),
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks={**RUN, "s-k-2": (0, 0)}), "shrink", []),  # a run was killed
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks={**RUN, "s-k-2": (1, 0)}), "shrink", ["s-k-2 does not run, and"]),
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks={"s-k": (1, 1)}), "shrink", ["s-k-2 does not", "s-k-3 does not"]),
        # A run ended when others had begun to decide, or after everything was brought to the first one.
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks={"s-k": (0, 0)}, complete=["s-k"]), "shrink", []),
        # Then hosts of the others were lost and replaced.
        (TO_THREE, shown(data(THREE), data(THREE), EMPTY, complete=["s-k"]), "none", []),
        (TO_THREE, shown(data(THREE), complete=["s-k"]), "none", ["s-k-2, s-k-3 would decide with no data"]),
        # Two of three hosts were lost while all ran, and replaced by hand.
        (TO_THREE, shown(data(THREE)), "none", ["s-k may lack what was written last: expected"]),
        (TO_THREE, shown(EMPTY, EMPTY, data(THREE)), "none", ["s-k, s-k-2 would decide with no data"]),
        (TO_THREE, shown(data(THREE, kept=False)), "none", []),  # the first run was killed while they began
        # The host of the first one was replaced, and the others would end.
        (TO_ONE, shown(EMPTY, seen={"a": {"s-k": EMPTY}}), "none", ["a: s-k has no data here, and s-k-2, s-k-3 may"]),
        (TO_ONE, shown(EMPTY, seen={"a": {"s-k": EMPTY}}, of={"s-two-k": ["s-two", "k"]}), "none", []),
        ({**TO_THREE, "decides": FIVE}, shown(EMPTY, data(THREE), data(THREE)), "none", ["and s-k-2, s-k-3 may have"]),
        ({**TO_THREE, "decides": FIVE}, shown(data(THREE)), "shrink", ["a: 1@k,2@k-2,3@k-3 decide about the data"]),
    ],
)  # fmt: skip
def test_the_number_changes_only_where_nothing_is_lost(wanted: Any, found: Any, kind: str, said: list[str]) -> None:
    chosen = swarm_resize.way(wanted, found)
    assert chosen["kind"] == kind
    problems = swarm_resize.problems(wanted, chosen, found)
    assert len(problems) == len(said), problems
    assert all(part in sentence for part, sentence in zip(said, problems, strict=True)), problems


def test_the_way_names_those_before_and_those_after_the_first_one_first() -> None:
    back = swarm_resize.way(TO_ONE, shown(data(THREE), seen=ALONE))
    assert (back["members"], back["host"], back["holders"]) == (NAMES, "a", {})
    assert not back["alone"]
    ended = shown(data(THREE), seen=ALONE, tasks={"s-k": (0, 0)}, complete=["s-k"])
    assert swarm_resize.way(TO_ONE, ended)["alone"]
    assert not swarm_resize.way(TO_THREE, shown(data(), complete=["s-k"]))["alone"]
    there = swarm_resize.way(TO_THREE, shown(data()))
    assert (there["members"], there["host"], there["holders"]) == (NAMES, "a", {"s-k-2": "b", "s-k-3": "c"})


def test_a_role_names_its_services_in_short() -> None:
    asked = {"program": "p", "directory": "d", "members": ["k", "k-2", "k-3"], "decides": THREE}
    assert swarm_resize.declared({"k": {"resize": asked}, "x": {}, "z": {"resize": {}}}, [{"stack": "s"}]) == [TO_THREE]  # type: ignore[typeddict-item]


@pytest.mark.parametrize(("count", "said"), [(3, 0), (1, 1), (0, 0)])
def test_a_release_with_another_number_does_not_come_back(count: int, said: int) -> None:
    asked = {"program": "p", "directory": "d", "members": ["k", "k-2", "k-3"], "decides": THREE}
    containers = {name: {"service": "k", "data": {"/d": "d"}} for name in NAMES[:count]}
    release: Any = {"stack": "s", "containers": {**containers, "s-x": {"service": "k", "data": {}}}}
    found = list(swarm_resize.unlike({"k": {"resize": asked}}, [release]))
    assert len(found) == said
    assert all("That release has s-k, and the settings have s-k, s-k-2, s-k-3: set the number" in one for one in found)


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        (TO_THREE, shown(data()), ["from 1 to 3 that keep copies: it stops, s-k-2 on b, s-k-3 on c get .* 1.0 GiB"]),
        (TO_ONE, shown(data(THREE), seen=ALONE, tasks=RUN), ["from 3 .* to 1: .* to it on a, then s-k-2, s-k-3 end"]),
        (TO_THREE, shown(data(THREE), data(THREE), data(THREE), tasks=RUN), []),
        (TO_THREE, shown(data(THREE), data(THREE), tasks=RUN), ["s-k-3: has no data on c, so it copies all"]),
        (TO_THREE, shown(EMPTY, data(THREE), data(THREE), tasks=RUN), ["s-k: has no data on a, so it copies all"]),
        (TO_ONE, shown(data(THREE), seen=ALONE, complete=["s-k"]), ["s-k: has everything, because a step ended too"]),
        (TO_THREE, shown(EMPTY), []),  # a new stack
        (TO_ONE, shown(data(), seen={"a": {"s-k": data()}}), []),
    ],
)  # fmt: skip
def test_a_plan_tells_what_is_done_and_what_writers_notice(wanted: Any, found: Any, said: list[str]) -> None:
    told = swarm_resize.told(wanted, swarm_resize.way(wanted, found), found)
    assert len(told) == len(said), told
    assert all(re.search(part, one) for part, one in zip(said, told, strict=True)), told
