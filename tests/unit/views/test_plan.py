"""A plan, as people read it."""

from __future__ import annotations

from typing import Any

from ansible_collections.sse.platform.plugins.module_utils.views import plan


def spec(service: str, *after: str, rolling: bool = False) -> dict[str, Any]:
    return {"service": service, "after": list(after), "rolling": rolling}


RELEASE: Any = {
    "containers": {
        "s-db": spec("db"),
        "s-web-1": spec("web", "s-db", rolling=True),
        "s-web-2": spec("web", "s-db", rolling=True),
        "s-proxy": spec("proxy", "s-web-1", "s-web-2"),
    }
}


def result(kinds: dict[str, str], diff: str = "", **more: Any) -> Any:
    actions = [{"kind": kind, "container": name, "reasons": []} for name, kind in kinds.items()]
    known: dict[str, Any] = {"changes": [], "experience": {}, "streams": {}}
    return {**known, "outcomes": [{"actions": actions}], "diff": {"prepared": diff}, **more}


def test_nothing_to_change_is_said() -> None:
    assert plan.lines([RELEASE], result({}), [], []) == [plan.NOTHING]


def test_each_step_says_how_long_it_took_and_whose_streams_it_ends() -> None:
    found = plan.lines(
        [RELEASE],
        result(
            {"s-web-1": "replace", "s-web-2": "replace", "s-proxy": "reload"},
            "~ s-web-1\n    memory: 1 -> 2\n~ s-web-2\n    memory: 1 -> 2\n> reload s-proxy\n",
            experience={"replace s-web-1": 2.5, "replace s-web-2": 1.5},
            streams={"s-web-1": 40, "s-web-2": 2},
        ),
        ["web:2"],
        ["n"],
    )
    assert found == [
        "+ image web:2",
        "+ network n",
        "~ s-web-1  [about 2.5 s, ends 40 streams]",
        "    memory: 1 -> 2",
        "~ s-web-2  [about 1.5 s, ends 2 streams]",
        "    memory: 1 -> 2",
        "> reload s-proxy",
        "",
        "order: s-web-1; then s-web-2; then s-proxy",
        "time: about 4 s by experience; 1 of 3 steps were never done here",
        "streams that end, each after a bye: 42",
    ]


def test_removed_containers_go_first_and_new_ones_come_after_what_they_need() -> None:
    kinds: Any = {"s-old": "remove", "s-db": "create", "s-web-1": "create", "s-web-2": "create", "s-proxy": "create"}
    assert plan.waves([RELEASE], kinds) == [["s-old"], ["s-db"], ["s-web-1", "s-web-2"], ["s-proxy"]]


def test_where_tags_choose_no_container_none_is_named() -> None:
    assert plan.lines([RELEASE], {"skipped": True}, [], []) == [plan.NOTHING_CHOSEN]
    assert plan.lines([RELEASE], {"skipped": True}, [], ["s-network"]) == ["+ network s-network"]
