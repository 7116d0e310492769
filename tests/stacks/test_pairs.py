"""From any release to any other: check mode tells what a run does, the run does exactly that, and then all is done.

Pairs of small releases, drawn by chance (pairs.py), on the real engine. SSE_PAIRS=200 draws two hundred of them. One
pair again: `pytest tests/stacks/test_pairs.py -k 'pair17]'`.
"""

from __future__ import annotations

import os
from typing import Any

import pytest
from ansible_collections.sse.platform.plugins.module_utils.model.types import Release
from ansible_collections.sse.platform.tests.stacks import pairs
from ansible_collections.sse.platform.tests.stacks.pairs import STACK, Drawn
from ansible_collections.sse.platform.tests.stacks.small import Seen, Small, there

PAIRS = int(os.environ.get("SSE_PAIRS", "8"))
# What each kind of action does to the container that was there, as the engine tells it.
HAPPENS = {
    "keep": [],
    "reload": [],
    "mend": [],
    "start": ["start"],
    "restart": ["kill", "die", "stop", "start"],
    "replace": ["kill", "die", "stop", "rename", "destroy"],
    "remove": ["kill", "die", "stop", "destroy"],
}


@pytest.mark.parametrize("seed", range(PAIRS), ids=lambda seed: f"pair{seed}")
def test_check_mode_tells_what_a_run_does_the_run_does_that_and_then_nothing_is_left_to_do(
    small: Small, seed: int
) -> None:
    first, second = pairs.pair(seed)
    applied(small, None, first)
    applied(small, first, second)


def applied(small: Small, earlier: Drawn | None, drawn: Drawn) -> None:
    """Run a release, and judge everything that is said and done of it.

    :param earlier: what runs, where the actions are to be those that the declarations ask for
    """
    release = drawn.release(small.images)
    to_make = small.missing_networks(release)
    before = small.seen()
    preview = small.request(release, drawn, check=True, to_make=to_make)
    assert small.seen() == before
    small.make_networks(release, to_make)

    with small.events() as events:
        report = small.request(release, drawn, check=False, to_make=set())
    after = small.seen()

    assert report.changes == preview.changes
    actions = {one.container: one for one in preview.outcomes[0].actions}
    done = {name: actions[name].kind if name in actions else "keep" for name in before | after}
    happened(done, before, after, events)
    rolled(release, done, before, events)
    if earlier:
        assert done == wanted(earlier, drawn)
    there(small, release, drawn)

    again = small.request(release, drawn, check=True, to_make=set())
    assert not again.changes
    assert small.drift() == []
    entry = (small.state / "history.jsonl").read_text().splitlines()[-1]
    assert '"outcome": "applied"' in entry


def happened(
    done: dict[str, str], before: dict[str, Seen], after: dict[str, Seen], events: list[tuple[str, str, str]]
) -> None:
    """Judge that each container got exactly its action, by ids, times, logs and the engine's events."""
    for name, kind in done.items():
        old, new = before.get(name), after.get(name)
        of_old = [action for identity, _, action in events if old and identity == old.id]
        of_new = [action for identity, _, action in events if new and identity == new.id and new.id != (old and old.id)]
        if old is None:
            assert (kind, of_new) == ("create", ["create", "start"]), name
            continue
        assert sorted(of_old) == sorted(HAPPENS[kind]), (name, kind)
        if kind in {"replace", "remove"}:
            assert (new is None) == (kind == "remove"), name
            assert of_new == (["create", "rename", "start"] if new else []), name
            continue
        assert new, name
        assert new.id == old.id, name
        assert (new.started == old.started) == (kind not in {"start", "restart"}), name
        read = new.lines.count("read anew") - old.lines.count("read anew")
        assert read == (1 if kind == "reload" else 0), (name, kind)
    known = {one.id for one in (*before.values(), *after.values())}
    for identity, name, action in events:
        # Files that a program will read are tried by it, in a container that goes again.
        trial = name.endswith("-trial") and done[name.rsplit("-", 3)[0]] in {"reload", "replace", "create"}
        assert identity in known or trial, (name, action, done)


def rolled(release: Release, done: dict[str, str], before: dict[str, Seen], events: list[tuple[str, str, str]]) -> None:
    """Judge that never two replicas that ran were down at the same time."""
    rolling = {name for name, one in release["containers"].items() if one["rolling"] and done[name] == "replace"}
    olds = {before[name].id for name in rolling}
    down: set[str] = set()
    for identity, called, action in events:
        name = called.removesuffix("-previous")
        if name in rolling and identity in olds and action == "die":
            assert not down, (name, down)
            down.add(name)
        elif name in rolling and identity not in olds and action == "start":
            down.discard(name)


def wanted(earlier: Drawn, drawn: Drawn) -> dict[str, str]:
    """Return the action that each container needs, by the declarations alone."""
    found: dict[str, str] = {}
    for short in earlier.containers.keys() | drawn.containers.keys():
        old, new = earlier.containers.get(short), drawn.containers.get(short)
        if old is None or new is None:
            found[f"{STACK}-{short}"] = "create" if old is None else "remove"
            continue
        changed = {key for key in old | new if (old.get(key) or None) != (new.get(key) or None)}
        changed -= {"after", "listens", "rolling", "reload", "reaches"}
        changed -= {"address"} if earlier.layout == drawn.layout and old["address"] == new["address"] else set()
        if earlier.layout == drawn.layout == "single":
            changed -= {"segments"}
        if earlier.layout != drawn.layout or addresses(earlier, old) != addresses(drawn, new):
            changed.add("networks")
        if earlier.secret != drawn.secret and old.get("secrets") and new.get("secrets"):
            changed.add("token")
        if old["config"].keys() != new["config"].keys():
            changed.add("mounts")
        if (old.get("secrets") or {}).keys() != (new.get("secrets") or {}).keys():
            changed.add("mounts")
        files = bool(new.get("reload")) and changed <= {"config", "token", "stop_timeout"}
        live = earlier.secret != drawn.secret and new.get("live_secrets")
        kind = ("reload" if files else "replace") if changed else "mend" if live else "keep"
        found[f"{STACK}-{short}"] = kind
    return found


def addresses(drawn: Drawn, one: dict[str, Any]) -> list[Any]:
    """Return what a container has in /etc/hosts."""
    return [(name, drawn.containers[name]["address"]) for name in one["hosts"]]
